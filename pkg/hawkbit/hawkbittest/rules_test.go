// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package hawkbittest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/drogue-iot/ajour/pkg/hawkbit/hawkbittest"
)

// client calls a server's Management API, or with a token the devices' one.
type client struct {
	t *testing.T
	*hawkbittest.Server
}

func start(t *testing.T, g hawkbittest.Generation) client {
	t.Helper()
	return client{t, hawkbittest.New(hawkbittest.Options{Generation: g})}
}

func (c client) call(method, path, body string, headers ...string) (int, string) {
	c.t.Helper()
	req := httptest.NewRequestWithContext(c.t.Context(), method, path, strings.NewReader(body))
	req.SetBasicAuth("admin", "admin")
	req.Header.Set("Content-Type", "application/json")
	for _, h := range headers {
		key, value, _ := strings.Cut(h, ": ")
		req.Header.Set(key, value)
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, req)
	return w.Code, w.Body.String()
}

func (c client) upload(module int, filename, content string, fields ...string) (int, string) {
	c.t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	for _, f := range fields {
		key, value, _ := strings.Cut(f, "=")
		_ = form.WriteField(key, value)
	}
	w, _ := form.CreateFormFile("file", filename)
	fmt.Fprint(w, content)
	form.Close()
	return c.call(
		http.MethodPost, fmt.Sprintf("/rest/v1/softwaremodules/%d/artifacts", module), b.String(),
		"Content-Type: "+form.FormDataContentType(),
	)
}

// ids returns those of a list, or of one object.
func ids(body string) (list []int) {
	var many []struct{ ID int }
	if json.Unmarshal([]byte(body), &many) != nil {
		var page struct{ Content []struct{ ID int } }
		_ = json.Unmarshal([]byte(body), &page)
		many = page.Content
	}
	for _, m := range many {
		list = append(list, m.ID)
	}
	return list
}

const (
	modulesPath = "/rest/v1/softwaremodules"
	setsPath    = "/rest/v1/distributionsets"
)

// TestErrorsHaveTheShapesThatWereRecorded compares whole bodies with the samples.
func TestErrorsHaveTheShapesThatWereRecorded(t *testing.T) {
	t.Parallel()
	const module = `[{"name":"fw","version":"1","type":"os"}]`
	for name, tt := range map[string]struct {
		generation         hawkbittest.Generation
		method, path, body string
		status             int
		want               string
	}{
		"HBW-26 a bare object": {
			hawkbittest.V1,
			"POST",
			modulesPath,
			`{"name":"x"}`,
			400,
			`{"errorCode":"hawkbit.server.error.rest.body.notReadable","exceptionClass":"org.eclipse.hawkbit.rest.exception.MessageNotReadableException","message":"The given request body is not well formed"}`,
		},
		"HBW-27 a repetition": {
			hawkbittest.V1,
			"POST",
			modulesPath,
			module,
			409,
			`{"errorCode":"hawkbit.server.error.repo.entityAlreadyExists","exceptionClass":"org.eclipse.hawkbit.repository.exception.EntityAlreadyExistsException","message":"The given entity already exists in database"}`,
		},
		"HBW-16 old spelling": {
			hawkbittest.V0,
			"POST",
			modulesPath,
			module,
			409,
			`{"errorCode":"hawkbit.server.error.repo.entitiyAlreayExists","exceptionClass":"org.eclipse.hawkbit.repository.exception.EntityAlreadyExistsException","message":"The given entity already exists in database"}`,
		},
		"HBW-30 unknown type": {
			hawkbittest.V1,
			"POST",
			modulesPath,
			`[{"name":"x","version":"1","type":"firmware"}]`,
			404,
			`{"errorCode":"hawkbit.server.error.repo.entityNotFound","exceptionClass":"org.eclipse.hawkbit.repository.exception.EntityNotFoundException","info":{"entityId":"firmware","type":"SoftwareModuleType"},"message":"SoftwareModuleType with given identifier {firmware} does not exist."}`,
		},
		"HBW-14 no info once": {
			hawkbittest.V0,
			"GET",
			"/rest/v1/targets/nope",
			"",
			404,
			`{"errorCode":"hawkbit.server.error.repo.entitiyNotFound","exceptionClass":"org.eclipse.hawkbit.repository.exception.EntityNotFoundException","message":"Target with given identifier {nope} does not exist."}`,
		},
		"HBW-30 no version": {
			hawkbittest.V0,
			"POST",
			modulesPath,
			`[{"name":"x","type":"os"}]`,
			400,
			`{"errorCode":"hawkbit.server.error.repo.constraintViolation","exceptionClass":"javax.validation.ConstraintViolationException","message":"version must not be null."}`,
		},
		"HBW-31 a long name": {
			hawkbittest.V1,
			"POST",
			modulesPath,
			`[{"name":"` + strings.Repeat("x", 129) + `","version":"1","type":"os"}]`,
			400,
			`{"errorCode":"hawkbit.server.error.repo.constraintViolation","exceptionClass":"jakarta.validation.ConstraintViolationException","message":"create.create[0].name size must be between 1 and 128."}`,
		},
		"HBW-78 no set": {hawkbittest.V1, "GET", "/rest/v1/targets/dev-1/assignedDS", "", 204, ``},
		"HBW-82 no target": {
			hawkbittest.V1,
			"POST",
			"/rest/v1/targets/none/assignedDS",
			`{"id":1}`,
			404,
			`{"errorCode":"hawkbit.server.error.repo.entityNotFound","exceptionClass":"org.eclipse.hawkbit.repository.exception.EntityNotFoundException","info":{"entityId":"none","type":"Target"},"message":"Target with given identifier {none} does not exist."}`,
		},
		"HBW-106 a field": {
			hawkbittest.V1,
			"GET",
			modulesPath + "?q=color==red",
			"",
			400,
			`{"errorCode":"hawkbit.server.error.rest.param.rsqlInvalidField","exceptionClass":"org.eclipse.hawkbit.repository.exception.RSQLParameterUnsupportedFieldException"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, tt.generation)
			c.call("POST", modulesPath, module)
			c.call("POST", "/rest/v1/targets", `[{"controllerId":"dev-1"}]`)
			status, body := c.call(tt.method, tt.path, tt.body)
			if diff := cmp.Diff(tt.want, body); diff != "" || status != tt.status {
				t.Error(status, diff)
			}
		})
	}
}

func TestUploadsFollowTheRules(t *testing.T) {
	t.Parallel()
	for _, g := range []hawkbittest.Generation{hawkbittest.V0, hawkbittest.V1} {
		c := start(t, g)
		_, body := c.call("POST", modulesPath, `[{"name":"fw","version":"1","type":"os"}]`)
		module := ids(body)[0]
		for _, tt := range []struct {
			rule, name, content, field string
			want                       int
		}{
			{"HBW-41 a wrong sum", "a", "x", "sha256sum=00", 400},
			{"HBW-45 an empty file", "a", "", "x=y", 400},
			{"HBW-40", "a", "x", "sha256sum=2D711642B726B04401627CA9FBAC32F5C8530FB1903CC4DB02258717921A4881", 201},
			{"HBW-42 the same name and bytes", "a", "x", "x=y", 409},
			{"HBW-42 the name is looked at first", "a", "y", "sha256sum=00", 409},
			{"HBW-43 the same bytes", "b", "x", "x=y", 201},
			{"HBW-40 the field wins", "a", "z", "filename=c", 201},
			{"HBW-47 a long name", strings.Repeat("n", 257), "x", "x=y", 400},
		} {
			if status, body := c.upload(module, tt.name, tt.content, tt.field); status != tt.want {
				t.Errorf("%s %s: %d %s", g, tt.rule, status, body)
			}
		}
		if status, _ := c.upload(99, "a", "x"); status != 404 {
			t.Errorf("HBW-46: %d", status)
		}
	}
}

// prepared has a module with a file in a set, and a target.
func prepared(t *testing.T, g hawkbittest.Generation) (c client, module, set int) {
	t.Helper()
	c = start(t, g)
	_, body := c.call("POST", modulesPath, `[{"name":"fw","version":"1","type":"os"}]`)
	module = ids(body)[0]
	c.upload(module, "firmware.bin", "content")
	_, body = c.call(
		"POST", setsPath, fmt.Sprintf(`[{"name":"fw","version":"1","type":"os","modules":[{"id":%d}]}]`, module),
	)
	c.call("POST", "/rest/v1/targets", `[{"controllerId":"dev-1"}]`)
	return c, module, ids(body)[0]
}

func (c client) assign(set int) string {
	c.t.Helper()
	_, body := c.call("POST", "/rest/v1/targets/dev-1/assignedDS", fmt.Sprintf(`{"id":%d,"unknown":true}`, set))
	return body
}

func TestAnAssignmentLocks(t *testing.T) {
	t.Parallel()
	for g, want := range map[hawkbittest.Generation]int{hawkbittest.V0: 201, hawkbittest.V1: 423} { // HBW-70
		c, module, set := prepared(t, g)
		if body := c.assign(set); !strings.Contains(body, `"assigned":1`) {
			t.Error(body)
		}
		if body := c.assign(set); body != `{"alreadyAssigned":1,"assigned":0,"assignedActions":[],"total":1}` { // HBW-81
			t.Error(body)
		}
		if status, body := c.upload(module, "other", "x"); status != want {
			t.Errorf("%s: %d %s", g, status, body)
		}
	}
}

func TestDeletionKeepsNamesThatWereUsed(t *testing.T) {
	t.Parallel()
	for g, want := range map[hawkbittest.Generation]int{hawkbittest.V0: 200, hawkbittest.V1: 204} { // HBW-71
		c, module, set := prepared(t, g)
		c.assign(set)
		if status, _ := c.call("DELETE", fmt.Sprintf("%s/%d", setsPath, set), ""); status != want {
			t.Errorf("%s: %d", g, status)
		}
		_, listed := c.call("GET", setsPath, "")
		_, one := c.call("GET", fmt.Sprintf("%s/%d", setsPath, set), "")
		status, _ := c.call(
			"POST", setsPath,
			fmt.Sprintf(`[{"name":"fw","version":"1","type":"os","modules":[{"id":%d}]}]`, module),
		)
		if len(ids(listed)) != 0 || !strings.Contains(one, `"deleted":true`) || status != 409 {
			t.Errorf("%s: %s %s %d", g, listed, one, status)
		}
	}
}

func TestActionsEndInTwoSteps(t *testing.T) {
	t.Parallel()
	c, _, set := prepared(t, hawkbittest.V1)
	c.assign(set)
	_, body := c.call("GET", "/rest/v1/targets/dev-1/actions?q=active==true", "")
	at := fmt.Sprintf("/rest/v1/targets/dev-1/actions/%d", ids(body)[0])
	for _, step := range []struct { // HBW-94
		query string
		want  int
	}{{"?force=true", 405}, {"", 204}, {"", 405}, {"?force=true", 204}, {"?force=true", 405}} {
		if status, body := c.call("DELETE", at+step.query, ""); status != step.want {
			t.Errorf("%q: %d %s", step.query, status, body)
		}
	}
	if status, _ := c.call("GET", "/rest/v1/targets/dev-1/assignedDS", ""); status != 204 { // HBW-95
		t.Error(status)
	}
}

// TestADeviceIsOfferedCancellationsFirst is why a publisher ends actions itself.
func TestADeviceIsOfferedCancellationsFirst(t *testing.T) {
	t.Parallel()
	c, module, set := prepared(t, hawkbittest.V1)
	const device = "/default/controller/v1/dev-1"
	if status, body := c.call("GET", device, "", "Authorization: GatewayToken gw"); status != 401 ||
		body != "" { // HBW-110
		t.Error(status, body)
	}
	c.call("PUT", "/rest/v1/system/configs/authentication.gatewaytoken.enabled", `{"value":true}`)
	c.call("PUT", "/rest/v1/system/configs/authentication.gatewaytoken.key", `{"value":"gw"}`)
	_, body := c.call(
		"POST", setsPath, fmt.Sprintf(`[{"name":"fw","version":"2","type":"os","modules":[{"id":%d}]}]`, module),
	)
	c.assign(set)
	c.assign(ids(body)[0])
	poll := func() string {
		_, body := c.call("GET", device, "", "Authorization: GatewayToken gw")
		return body
	}
	if got := poll(); !strings.Contains(got, "cancelAction") || strings.Contains(got, "deploymentBase") { // HBW-112
		t.Error(got)
	}
	_, body = c.call("GET", "/rest/v1/targets/dev-1/actions?q=active==true%3Bstatus==canceling", "")
	answer := `{"status":{"execution":"closed","result":{"finished":"success"}}}`
	if status, body := c.call(
		"POST", fmt.Sprintf("%s/cancelAction/%d/feedback", device, ids(body)[0]), answer,
		"Authorization: GatewayToken gw",
	); status != 200 {
		t.Error(status, body)
	}
	if got := poll(); !strings.Contains(got, "deploymentBase") {
		t.Error(got)
	}
}

func TestQueriesIgnoreCaseAndKnowWildcards(t *testing.T) {
	t.Parallel()
	c := start(t, hawkbittest.V1)
	for _, name := range []string{"fw-a", "FW-A", "fw*", `a,b;c (d)`} {
		body, _ := json.Marshal([]map[string]string{{"name": name, "version": "1", "type": "os"}})
		if status, answer := c.call("POST", modulesPath, string(body)); status != 201 { // HBW-27
			t.Fatal(status, answer)
		}
	}
	for q, want := range map[string]int{ // HBW-101 to HBW-104
		`name==fw-a`: 2, `name==fw*`: 3, `name=in=("fw*")`: 1, `name=="a,b;c (d)";version==1`: 1, `name==nope`: 0, `NAME==fw-a;type==os`: 2,
	} {
		req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, modulesPath, http.NoBody)
		values := req.URL.Query()
		values.Set("q", q)
		if _, body := c.call("GET", modulesPath+"?"+values.Encode(), ""); len(ids(body)) != want {
			t.Errorf("%s: %s", q, body)
		}
	}
}

func TestPathsFollowTheRules(t *testing.T) {
	t.Parallel()
	for g, want := range map[hawkbittest.Generation]int{hawkbittest.V0: 200, hawkbittest.V1: 404} { // HBW-11
		if status, body := start(t, g).call("GET", modulesPath+"/", ""); status != want {
			t.Errorf("%s: %d %s", g, status, body)
		}
	}
	c := start(t, hawkbittest.V1)
	if status, _ := c.call("PATCH", modulesPath, ""); status != 405 {
		t.Error(status)
	}
	if status, body := c.call(
		"GET", "/rest/v1/userinfo", "",
	); body != `{"permissions":["ROLE_TENANT_ADMIN"],"tenant":"DEFAULT","username":"admin"}` { // HBW-4
		t.Error(status, body)
	}
	if status, body := c.call("GET", "/rest/v1/userinfo", "", "Authorization: Basic eDp5"); status != 401 ||
		!strings.Contains(body, `"error":"Unauthorized"`) { // HBW-2
		t.Error(status, body)
	}
}

// TestCallsThatRealServersRefuse, or take, in their own way (section 15 of the record). In the
// paths and bodies, SET and MODULE stand for the ids of a set that is assigned, and of its module.
func TestCallsThatRealServersRefuse(t *testing.T) {
	t.Parallel()
	const target, settings = "/rest/v1/targets/dev-1", "/rest/v1/system/configs/"
	long := func(n int) string { return strings.Repeat("é", n) }
	both := func(status int) map[hawkbittest.Generation]int {
		return map[hawkbittest.Generation]int{hawkbittest.V0: status, hawkbittest.V1: status}
	}
	each := func(old, current int) map[hawkbittest.Generation]int {
		return map[hawkbittest.Generation]int{hawkbittest.V0: old, hawkbittest.V1: current}
	}
	module := func(members string) string { return `[{"name":"x","version":"1","type":"os",` + members + `}]` }
	for _, tt := range []struct {
		method, path, body string
		want               map[hawkbittest.Generation]int
		header             string
	}{
		{"GET", "/rest/v1/targets/a%3Bb", "", each(500, 400), ""},
		{"GET", "/rest/v1/targets/a%25b", "", each(500, 400), ""},
		{"GET", "/rest/v1/targets/a%2Fb", "", both(400), ""},
		{"GET", "/rest/v1/targets/a%5Cb", "", both(400), ""},
		{"DELETE", modulesPath + "/MODULE", "", each(200, 423), ""},
		{"DELETE", target, "", each(200, 204), ""},
		{"POST", target + "/assignedDS", `{"id":SET,"weight":500}`, each(400, 200), ""},
		{"POST", target + "/assignedDS", `{"id":SET,"weight":1001}`, both(400), ""},
		{"GET", target + "/actions?q=status==running", "", each(400, 200), ""},
		{"GET", target + "/actions?q=status==pending", "", each(200, 400), ""},
		{"GET", target + "/actions?q=status==finished", "", both(200), ""},
		{"PUT", settings + "authentication.gatewaytoken.enabled", `{"value":"perhaps"}`, both(400), ""},
		{"PUT", settings + "authentication.gatewaytoken.enabled", `{}`, both(500), ""},
		{"PUT", settings + "unknown", `{"value":true}`, both(400), ""},
		{"POST", modulesPath, module(`"description":"` + long(512) + `"`), both(201), ""},
		{"POST", modulesPath, module(`"description":"` + long(513) + `"`), both(400), ""},
		{"POST", modulesPath, module(`"vendor":"` + long(257) + `"`), both(400), ""},
		{"POST", modulesPath, `[{"name":"a < b > c","version":"1","type":"os"}]`, both(201), ""},
		{"POST", modulesPath, `[{"name":"a<b>c","version":"1","type":"os"}]`, both(400), ""},
		{"POST", "/rest/v1/targets", `[{"controllerId":"` + long(250) + `"}]`, both(201), ""},
		{"POST", "/rest/v1/targets", `[{"controllerId":"x","name":"` + long(129) + `"}]`, both(400), ""},
		{
			"POST", setsPath, `[{"name":"x","version":"1","type":"os","modules":[{"id":MODULE},{"id":MODULE}]}]`,
			each(404, 201), "",
		},
		{"GET", modulesPath + "?limit=abc", "", both(400), ""},
		{"GET", modulesPath + "?sort=color:ASC", "", both(400), ""},
		{"GET", modulesPath + "?sort=name:ASC&limit=1", "", both(200), ""},
		{"GET", modulesPath, "", both(406), "Accept: application/xml"},
	} {
		for g, want := range tt.want {
			c, module, set := prepared(t, g)
			c.assign(set)
			ids := strings.NewReplacer("MODULE", strconv.Itoa(module), "SET", strconv.Itoa(set))
			status, body := c.call(tt.method, ids.Replace(tt.path), ids.Replace(tt.body), tt.header)
			if status != want {
				t.Errorf("%s: %s %s %s: %d %s, want %d", g, tt.method, tt.path, tt.body, status, body, want)
			}
		}
	}
}

// TestASetThatCannotBeAssigned: what is on its way stays on its way.
func TestASetThatCannotBeAssigned(t *testing.T) {
	t.Parallel()
	for _, g := range []hawkbittest.Generation{hawkbittest.V0, hawkbittest.V1} {
		c, module, set := prepared(t, g)
		c.assign(set)
		newSet := func(version string) int {
			_, body := c.call(
				"POST", setsPath,
				fmt.Sprintf(`[{"name":"fw","version":%q,"type":"os","modules":[{"id":%d}]}]`, version, module),
			)
			return ids(body)[0]
		}
		invalid := newSet("2")
		if status, body := c.call("POST", fmt.Sprintf("%s/%d/invalidate", setsPath, invalid), `{}`); status != 204 {
			t.Error(status, body)
		}
		if body := c.assign(invalid); !strings.Contains(body, "distributionset.invalid") {
			t.Error(body)
		}
		next := newSet("3")
		for range 2000 - 1 { // of one that is closed, too
			c.assign(next)
			set, next = next, set
		}
		if body := c.assign(next); !strings.Contains(body, "quota.tooManyEntries") {
			t.Error(body)
		}
	}
}

// TestADeviceThatReports fails, or answers a cancellation twice.
func TestADeviceThatReports(t *testing.T) {
	t.Parallel()
	c, _, set := prepared(t, hawkbittest.V1)
	c.call("PUT", "/rest/v1/system/configs/authentication.gatewaytoken.enabled", `{"value":true}`)
	c.call("PUT", "/rest/v1/system/configs/authentication.gatewaytoken.key", `{"value":"gw"}`)
	action := func() int {
		var answer struct{ AssignedActions []struct{ ID int } }
		if err := json.Unmarshal([]byte(c.assign(set)), &answer); err != nil || len(answer.AssignedActions) != 1 {
			t.Fatal(answer, err)
		}
		return answer.AssignedActions[0].ID
	}
	report := func(kind string, id int, result string, want int) {
		t.Helper()
		status, body := c.call(
			"POST", fmt.Sprintf("/default/controller/v1/dev-1/%s/%d/feedback", kind, id),
			`{"status":{"execution":"closed","result":{"finished":"`+result+`"}}}`, "Authorization: GatewayToken gw",
		)
		if status != want {
			t.Errorf("%s %s: %d %s", kind, result, status, body)
		}
	}
	first := action()
	report("deploymentBase", first, "x", 400)
	report("deploymentBase", first, "failure", 200)
	if status, _ := c.call("GET", "/rest/v1/targets/dev-1/assignedDS", ""); status != 204 {
		t.Errorf("after a failure the target has a set: %d", status)
	}
	second := action()
	c.call("DELETE", fmt.Sprintf("/rest/v1/targets/dev-1/actions/%d", second), "")
	report("cancelAction", second, "success", 200)
	report("cancelAction", second, "success", 200)
}

// TestFiltersAreFIQL with groups, "and", "or" and both kinds of quotes.
func TestFiltersAreFIQL(t *testing.T) {
	t.Parallel()
	c := start(t, hawkbittest.V1)
	for _, name := range []string{"a", "b", "c, d", "(e)"} {
		c.call("POST", modulesPath, `[{"name":"`+name+`","version":"1","type":"os"}]`)
	}
	for filter, want := range map[string]string{
		`name==a`:                                    "a",
		`name==a,name==b`:                            "a b",
		`name==a or name==b`:                         "a b",
		`name==a;version==2`:                         "",
		`name==a and version==1`:                     "a",
		`name==a,name==b;version==2`:                 "a",
		`(name==a,name==b);version==1`:               "a b",
		`(name==a,(name==b;version==2)),name=="(e)"`: "a (e)",
		`name=='c, d'`:                               "c, d",
		`name=in=(a,"c, d",'(e)')`:                   "a c, d (e)",
		`name=out=(a,b)`:                             "c, d (e)",
		`name!=a;name!=b`:                            "c, d (e)",
		`NAME==A*`:                                   "a",
		``:                                           "400",
		`name`:                                       "400",
		`name==`:                                     "400",
		`name==a,`:                                   "400",
		`(name==a`:                                   "400",
		`name==a)`:                                   "400",
		`name=in=(a`:                                 "400",
		`name==c, d`:                                 "400",
		`name==(a,b)`:                                "400",
		`name==zzz;color==red`:                       "400",
		`name=like=a`:                                "400",
		`name=="a`:                                   "400",
		`name==a or `:                                "400",
	} {
		status, body := c.call("GET", modulesPath+"?q="+url.QueryEscape(filter), "")
		var page struct {
			Content []struct{ Name string }
		}
		got := strconv.Itoa(status)
		if status == http.StatusOK {
			if err := json.Unmarshal([]byte(body), &page); err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, m := range page.Content {
				names = append(names, m.Name)
			}
			got = strings.Join(names, " ")
		}
		if got != want {
			t.Errorf("%s: %q, want %q", filter, got, want)
		}
	}
}
