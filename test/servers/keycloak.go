// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// keycloakVersion is what Maven fetches.
const keycloakVersion = "26.0.7"

// keycloakFolder fetches Keycloak, once for a machine and version, and returns its folder.
var keycloakFolder = sync.OnceValues(func() (string, error) {
	return Stored("keycloak-"+keycloakVersion, "keycloak", fetchKeycloak)
})

// keycloakPOM is a project, whose folder Maven works in.
const keycloakPOM = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>test</groupId><artifactId>keycloak</artifactId><version>1</version><packaging>pom</packaging></project>
`

func fetchKeycloak(dir string) error {
	work := filepath.Join(dir, "new")
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "pom.xml"), []byte(keycloakPOM), 0o600); err != nil {
		return err
	}
	fetch := exec.Command(
		"mvn", "-q", "-B", "dependency:unpack", "-Dartifact=org.keycloak:keycloak-quarkus-dist:"+keycloakVersion+":zip",
		"-DoutputDirectory="+work, "-DmarkersDirectory="+filepath.Join(work, "markers"),
	)
	fetch.Dir = dir
	if out, err := fetch.CombinedOutput(); err != nil {
		return fmt.Errorf("fetch Keycloak: %w: %s", err, out)
	}
	// What a start in the mode for development would compute each time.
	folder := filepath.Join(work, "keycloak-"+keycloakVersion)
	build := exec.Command("sh", filepath.Join(folder, "bin", "kc.sh"), "build", "--db=dev-mem")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build Keycloak: %w: %s", err, out)
	}
	return os.Rename(folder, filepath.Join(dir, "keycloak"))
}

// Keycloak is a running server with the realm "drogue", as Drogue's Helm chart makes it: its client
// "drogue" is public, for pages of any origin, and sends people back to http://localhost alone. The users
// "ada", who has the role trigger-build, and "bob" have the password "secret". The client "services" has
// a service account, which is an administrator, and [ServiceSecret].
type Keycloak struct {
	// Issuer is the URL of the realm.
	Issuer string

	t     testing.TB
	admin string
	token string
}

const keycloakPassword = "secret"

// ServiceSecret is that of the client "services".
const ServiceSecret = "secret-of-the-services"

// StartKeycloak starts one. The first time on a machine it is fetched, which takes a minute or two.
func StartKeycloak(t testing.TB) *Keycloak {
	t.Helper()
	folder, err := keycloakFolder()
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	base := fmt.Sprintf("http://localhost:%d", port)
	k := &Keycloak{t: t, Issuer: base + "/realms/drogue", admin: base + "/admin/realms"}
	start(
		t,
		base+"/realms/master",
		http.DefaultClient,
		"env",
		"KC_BOOTSTRAP_ADMIN_USERNAME=admin",
		"KC_BOOTSTRAP_ADMIN_PASSWORD="+keycloakPassword,
		"JAVA_OPTS_APPEND=-Xmx400m",
		"sh",
		filepath.Join(folder, "bin", "kc.sh"),
		"start",
		"--optimized",
		"--cache=local",
		"--http-enabled=true",
		"--hostname="+base,
		"--http-host=127.0.0.1",
		fmt.Sprintf("--http-port=%d", port),
	)
	k.logIn()
	k.call(http.MethodPost, "", realm(), nil)
	return k
}

// realm is what the job of the chart makes, and two users. Tokens are valid for ten seconds.
func realm() map[string]any {
	user := func(name string, roles ...string) map[string]any {
		return map[string]any{
			"username": name, "enabled": true, "email": name + "@example.org", "firstName": name, "lastName": name,
			"credentials": []any{map[string]any{"type": "password", "value": keycloakPassword}},
			"realmRoles":  append(roles, "drogue-user"),
		}
	}
	return map[string]any{
		"realm": "drogue", "enabled": true, "accessTokenLifespan": 10,
		"roles": map[string]any{"realm": []any{
			map[string]any{
				"name": "drogue-user",
			},
			map[string]any{"name": "trigger-build"},
			map[string]any{"name": "drogue-admin"},
		}},
		"users": []any{user("ada", "trigger-build"), user("bob"), map[string]any{
			"username": "service-account-services", "enabled": true, "serviceAccountClientId": "services",
			"realmRoles": []string{"drogue-admin"},
		}},
		"clients": []any{map[string]any{
			"clientId": "drogue", "enabled": true, "publicClient": true, "standardFlowEnabled": true,
			"directAccessGrantsEnabled": true, "redirectUris": []string{"http://localhost:*"}, "webOrigins": []string{"*"},
			"attributes": map[string]any{"post.logout.redirect.uris": "+"},
			"protocolMappers": []any{map[string]any{
				"name": "aud", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
				"config": map[string]any{"included.client.audience": "drogue", "access.token.claim": "true"},
			}},
		}, map[string]any{
			"clientId": "services", "enabled": true, "secret": ServiceSecret, "serviceAccountsEnabled": true,
			"standardFlowEnabled": false,
		}},
	}
}

func (k *Keycloak) logIn() {
	k.t.Helper()
	k.token = k.password(strings.TrimSuffix(k.admin, "/admin/realms")+"/realms/master", "admin-cli", "admin")
}

// Token returns an access token of a user.
func (k *Keycloak) Token(user string) string {
	k.t.Helper()
	return k.password(k.Issuer, "drogue", user)
}

func (k *Keycloak) password(issuer, client, user string) string {
	k.t.Helper()
	form := url.Values{
		"grant_type": {"password"}, "client_id": {client}, "username": {user}, "password": {keycloakPassword},
		"scope": {"openid"},
	}
	res, err := http.PostForm(issuer+"/protocol/openid-connect/token", form)
	if err != nil {
		k.t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
		Error string `json:"error_description"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.Token == "" {
		k.t.Fatalf("token of %s: %s: %v %s", user, res.Status, err, answer.Error)
	}
	return answer.Token
}

// Roles returns the realm roles that an access token names.
func Roles(t testing.TB, token string) []string {
	t.Helper()
	var claims struct {
		jwt.RegisteredClaims
		Realm struct {
			Roles []string `json:"roles"`
		} `json:"realm_access"`
	}
	if _, _, err := jwt.NewParser().ParseUnverified(token, &claims); err != nil {
		t.Fatal(err)
	}
	return claims.Realm.Roles
}

// EndSessions ends all sessions of a user, as an administrator does.
func (k *Keycloak) EndSessions(user string) error {
	k.logIn()
	var users []struct {
		ID string `json:"id"`
	}
	k.call(http.MethodGet, "/drogue/users?exact=true&username="+url.QueryEscape(user), nil, &users)
	if len(users) != 1 {
		return errors.New("there is no such user")
	}
	k.call(http.MethodPost, "/drogue/users/"+users[0].ID+"/logout", nil, nil)
	return nil
}

// call calls the administration.
func (k *Keycloak) call(method, path string, body, into any) {
	k.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		k.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, k.admin+path, bytes.NewReader(data))
	if err != nil {
		k.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+k.token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		k.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode >= http.StatusMultipleChoices {
		k.t.Fatalf("%s %s: %s: %v %s", method, path, res.Status, err, answer)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(answer, into); err != nil {
		k.t.Fatal(err)
	}
}
