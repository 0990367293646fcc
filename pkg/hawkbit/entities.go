// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package hawkbit

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Type is the key of the types that modules and sets are made with. Every tenant has
// it, and a set of it is complete with one module.
const Type = "os"

// Module is a software module.
type Module struct {
	ID      int64  `json:"id"`
	Name    string `json:"name"`
	Version string `json:"version"`
	Type    string `json:"type"`
}

// Set is a distribution set.
type Set struct {
	ID       int64    `json:"id"`
	Name     string   `json:"name"`
	Version  string   `json:"version"`
	Type     string   `json:"type"`
	Complete bool     `json:"complete"`
	Modules  []Module `json:"modules"`
}

// Artifact is a file of a module.
type Artifact struct {
	ID       int64  `json:"id"`
	Filename string `json:"providedFilename"`
	Size     int64  `json:"size"`
	Hashes   struct {
		SHA256 string `json:"sha256"`
	} `json:"hashes"`
}

// Action is the way of a set to a target.
type Action struct {
	ID     int64  `json:"id"`
	Type   string `json:"type"`
	Status string `json:"status"`
	// ForceType is "forced", "soft", "timeforced" or "downloadonly".
	ForceType string `json:"forceType"`
	// DetailStatus is what servers before 1.0 have for Status.
	DetailStatus string `json:"detailStatus"`
	// active is absent in servers before 1.0, where the status "pending" says it.
	Active *bool `json:"active"`
	// MaintenanceWindow is there if the action has one.
	MaintenanceWindow *struct{} `json:"maintenanceWindow"`
}

// Forced reports whether the device has to install what it is offered at once.
func (a Action) Forced() bool { return a.ForceType == "" || a.ForceType == "forced" }

// Waits reports whether nothing is offered before somebody confirms.
func (a Action) Waits() bool {
	const waits = "wait_for_confirmation"
	return a.Status == waits || a.DetailStatus == waits
}

// HasWindow reports whether nothing is installed outside of some times.
func (a Action) HasWindow() bool { return a.MaintenanceWindow != nil }

// IsActive reports whether the action has not ended.
func (a Action) IsActive() bool {
	if a.Active != nil {
		return *a.Active
	}
	return a.Status == "pending"
}

// IsUpdate reports whether the action is on its way to the device, and not being
// cancelled.
func (a Action) IsUpdate() bool { return a.IsActive() && a.Type != "cancel" }

// Assignment is the answer to one.
type Assignment struct {
	Assigned        int `json:"assigned"`
	AlreadyAssigned int `json:"alreadyAssigned"`
	AssignedActions []struct {
		ID int64 `json:"id"`
	} `json:"assignedActions"`
}

type page[T any] struct {
	Content []T `json:"content"`
}

// quote writes a value for a query. "=in=" has no wildcards in any generation, where
// "==" has; the caller compares them, too, since both ignore case.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func search(name, version string) url.Values {
	return url.Values{
		"q":     {fmt.Sprintf(`name=in=(%s);version=in=(%s);type==%s`, quote(name), quote(version), Type)},
		"limit": {"500"}, "sort": {"id:ASC"},
	}
}

// FindModule returns the module of that very name and version, false if there is
// none (any more).
func (c *Client) FindModule(ctx context.Context, name, version string) (m Module, found bool, err error) {
	var list page[Module]
	err = c.call(ctx, request{method: http.MethodGet, path: "/softwaremodules", query: search(name, version)}, &list)
	for _, m := range list.Content {
		if m.Name == name && m.Version == version && m.Type == Type {
			return m, true, err
		}
	}
	return m, false, err
}

// CreateModule makes a module, of no vendor if that is empty. It fails with 409 if there is one,
// or was one.
func (c *Client) CreateModule(ctx context.Context, name, version, vendor string) (Module, error) {
	module := map[string]any{"name": name, "version": version, "type": Type, "description": "built by Ajour"}
	if vendor != "" {
		module["vendor"] = vendor
	}
	return create[Module](ctx, c, "/softwaremodules", module)
}

// create posts a list of one, which is what hawkBit takes, and returns the one.
func create[T any](ctx context.Context, c *Client, path string, v any) (t T, err error) {
	r, err := request{method: http.MethodPost, path: path}.jsonBody([]any{v})
	if err != nil {
		return t, err
	}
	var list []T
	if err := c.call(ctx, r, &list); err != nil {
		return t, err
	}
	if len(list) != 1 {
		return t, fmt.Errorf("hawkBit made %d entries of one", len(list))
	}
	return list[0], nil
}

// Artifacts returns the files of a module.
func (c *Client) Artifacts(ctx context.Context, module int64) (list []Artifact, err error) {
	return list, c.call(
		ctx, request{method: http.MethodGet, path: fmt.Sprintf("/softwaremodules/%d/artifacts", module)}, &list,
	)
}

// Upload adds a file to a module. The server refuses it if what arrives does not have
// the checksum. Open is called for each try.
func (c *Client) Upload(
	ctx context.Context, module int64, filename, sha256 string, size int64, open func() io.Reader,
) (a Artifact, err error) {
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	if err := form.WriteField("sha256sum", sha256); err != nil {
		return a, fmt.Errorf("write form: %w", err)
	}
	if _, err := form.CreateFormFile("file", filename); err != nil {
		return a, fmt.Errorf("write form: %w", err)
	}
	tail := "\r\n--" + form.Boundary() + "--\r\n"
	return a, c.call(ctx, request{
		method:      http.MethodPost,
		path:        fmt.Sprintf("/softwaremodules/%d/artifacts", module),
		contentType: form.FormDataContentType(),
		length:      int64(head.Len()) + size + int64(len(tail)),
		body: func() io.Reader {
			return io.MultiReader(bytes.NewReader(head.Bytes()), io.LimitReader(open(), size), strings.NewReader(tail))
		},
	}, &a)
}

// FindSet returns the distribution set of that very name and version, false if there
// is none (any more).
func (c *Client) FindSet(ctx context.Context, name, version string) (s Set, found bool, err error) {
	var list page[Set]
	if err := c.call(
		ctx, request{method: http.MethodGet, path: "/distributionsets", query: search(name, version)}, &list,
	); err != nil {
		return s, false, err
	}
	for _, s := range list.Content {
		if s.Name == name && s.Version == version && s.Type == Type {
			err := c.call(ctx, request{method: http.MethodGet, path: fmt.Sprintf("/distributionsets/%d", s.ID)}, &s)
			return s, true, err
		}
	}
	return s, false, nil
}

// CreateSet makes a distribution set of one module. It fails with 409 if there is one
// of the name, or was one.
func (c *Client) CreateSet(ctx context.Context, name, version string, module int64) (Set, error) {
	return create[Set](ctx, c, "/distributionsets", map[string]any{
		"name": name, "version": version, "type": Type, "description": "built by Ajour", "requiredMigrationStep": false,
		"modules": []any{map[string]int64{"id": module}},
	})
}

// EnsureTarget makes a target unless there is one.
func (c *Client) EnsureTarget(ctx context.Context, controller string) error {
	err := c.call(ctx, request{method: http.MethodGet, path: target(controller)}, nil)
	if !Is(err, http.StatusNotFound) {
		return err
	}
	_, err = create[struct{}](ctx, c, "/targets", map[string]any{"controllerId": controller})
	if Is(err, http.StatusConflict) { // it polled meanwhile
		return nil
	}
	return err
}

func target(controller string) string { return "/targets/" + url.PathEscape(controller) }

// Actions returns those of a target, newest first: all of them, or those of one set
// unless that is 0.
func (c *Client) Actions(ctx context.Context, controller string, set int64) ([]Action, error) {
	query := url.Values{"limit": {"500"}}
	if set != 0 {
		query.Set("q", "distributionset.id=="+strconv.FormatInt(set, 10))
	}
	var list page[Action]
	err := c.call(ctx, request{method: http.MethodGet, path: target(controller) + "/actions", query: query}, &list)
	return list.Content, err
}

// Cancel ends an action, whether or not its device agrees. It is no error if the
// action has ended by itself.
func (c *Client) Cancel(ctx context.Context, controller string, action int64) error {
	r := request{method: http.MethodDelete, path: target(controller) + "/actions/" + strconv.FormatInt(action, 10)}
	// 405: it is being cancelled already, or has ended.
	if err := c.call(ctx, r, nil); err != nil && !Is(err, http.StatusMethodNotAllowed) {
		return err
	}
	r.query = url.Values{"force": {"true"}}
	if err := c.call(ctx, r, nil); err != nil && !Is(err, http.StatusMethodNotAllowed) {
		return err
	}
	return nil
}

// Assign assigns a set to a target.
func (c *Client) Assign(ctx context.Context, controller string, set int64) (a Assignment, err error) {
	// Without a confirmation: the update server does not know of them (HB-3).
	r, err := request{method: http.MethodPost, path: target(controller) + "/assignedDS"}.jsonBody(map[string]any{
		"id": set, "type": "forced", "confirmationRequired": false,
	})
	if err != nil {
		return a, err
	}
	return a, c.call(ctx, r, &a)
}

// Force makes an action one that the device has to carry out at once. hawkBit leaves some as
// they are: read it anew.
func (c *Client) Force(ctx context.Context, controller string, action int64) error {
	path := target(controller) + "/actions/" + strconv.FormatInt(action, 10)
	r, err := request{method: http.MethodPut, path: path}.jsonBody(map[string]any{"forceType": "forced"})
	if err != nil {
		return err
	}
	return c.call(ctx, r, nil)
}

// Installed returns the set that a target has installed, the zero one for none.
func (c *Client) Installed(ctx context.Context, controller string) (s Set, err error) {
	return s, c.call(ctx, request{method: http.MethodGet, path: target(controller) + "/installedDS"}, &s)
}

// Assigned returns the set that is assigned to a target, the zero one for none.
func (c *Client) Assigned(ctx context.Context, controller string) (s Set, err error) {
	return s, c.call(ctx, request{method: http.MethodGet, path: target(controller) + "/assignedDS"}, &s)
}
