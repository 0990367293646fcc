// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/drogue-iot/ajour/pkg/api"
)

// callTimeout bounds a call that is no stream.
const callTimeout = 30 * time.Second

// maxAnswer bounds an answer that is read as a whole.
const maxAnswer = 64 << 20

// client calls the API of an installation.
type client struct {
	env        Env
	url, token string
}

// resolve finds the installation and a token for it.
func (c *client) resolve() error {
	if err := c.locate(); err != nil {
		return err
	}
	if c.token == "" {
		return fmt.Errorf("no token for %s: set --token or AJOUR_TOKEN", c.url)
	}
	return nil
}

// locate finds the installation: flags first, then the environment, then what
// a running "ajour dev" left.
func (c *client) locate() error {
	if c.url == "" {
		c.url = c.env.Getenv("AJOUR_URL")
	}
	if c.token == "" {
		c.token = c.env.Getenv("AJOUR_TOKEN")
	}
	if c.url == "" || c.token == "" {
		sessions, err := readSessions(c.env.ConfigDir)
		if err != nil {
			return err
		}
		for _, s := range sessions {
			if c.url == "" {
				c.url = s.URL
			}
			// A token is for its own installation only.
			if c.token == "" && sameHost(c.url, s.URL) {
				c.token = s.Token
			}
		}
	}
	if c.url == "" {
		return errors.New("no installation is known: start \"ajour dev\" in another terminal, or set --url and --token")
	}
	u, err := url.Parse(c.url)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("%q is no http or https URL", c.url)
	}
	c.url = base(c.url)
	return nil
}

// base returns the URL of an installation, of one of its API as well.
func base(address string) string {
	address = strings.TrimRight(address, "/")
	for _, prefix := range api.Prefixes {
		address = strings.TrimSuffix(address, prefix)
	}
	return address
}

// sameHost reports whether two URLs are those of the same server: "localhost" is the loopback
// address, and nobody else's.
func sameHost(a, b string) bool {
	loopback := strings.NewReplacer("//localhost:", "//127.0.0.1:", "//[::1]:", "//127.0.0.1:")
	return loopback.Replace(base(a)) == loopback.Replace(base(b))
}

// errNotThere says that the API knows of no such thing (yet).
var errNotThere = errors.New("not found")

// errToken says that the API does not accept the token.
var errToken = errors.New(
	"the token is not valid here: check --token and AJOUR_TOKEN, or unset them to use that of the running \"ajour dev\"",
)

// errAway says that the API does not answer at the moment.
var errAway = errors.New("cannot be reached")

// do makes a call and returns its answer, or the problem that the API asked.
func (c *client) do(ctx context.Context, method, path string) (*http.Response, error) {
	if err := c.resolve(); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+api.Prefixes[0]+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: %s, does it still run? %w", errAway, c.url, err)
	}
	if res.StatusCode/100 == 2 {
		return res, nil
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20)) // the status says enough
	var p api.Problem
	if json.Unmarshal(body, &p) != nil || p.Detail == "" {
		p.Detail = fmt.Sprintf("%s answered %s", c.url, res.Status)
	}
	switch {
	case res.StatusCode == http.StatusNotFound:
		return nil, fmt.Errorf("%w: %s", errNotThere, p.Detail)
	case res.StatusCode == http.StatusServiceUnavailable:
		return nil, fmt.Errorf("%w: %s", errAway, p.Detail)
	case res.StatusCode == http.StatusUnauthorized:
		return nil, errToken
	case len(p.Violations) > 0:
		lines := []string{"the build description is wrong:"}
		for _, v := range p.Violations {
			lines = append(lines, v.Path+": "+v.Detail)
		}
		return nil, errors.New(strings.Join(lines, "\n"))
	default:
		return nil, errors.New(p.Detail)
	}
}

// get reads a JSON answer.
func (c *client) get(ctx context.Context, method, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	res, err := c.do(ctx, method, path)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(http.MaxBytesReader(nil, res.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("read answer of %s: %w", c.url, err)
	}
	return nil
}

func printJSON(w io.Writer, v any) error {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(out.Bytes())
	return err
}
