// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package devtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// GatewayToken is what devices are let in with at a hawkBit that [Hawkbit.Prepare] was
// called for.
const GatewayToken = "ajour-test-gateway"

// Hawkbit is a server that tests publish to.
type Hawkbit struct{ URL, User, Password string }

// Prepare lets the update server in.
func (h Hawkbit) Prepare(ctx context.Context) error {
	for key, value := range map[string]any{
		"authentication.gatewaytoken.enabled": true, "authentication.gatewaytoken.key": GatewayToken,
	} {
		if _, err := h.Manage(
			ctx, http.MethodPut, "/system/configs/"+key, map[string]any{"value": value},
		); err != nil {
			return err
		}
	}
	return nil
}

// Manage calls the Management API, and returns its answer.
func (h Hawkbit) Manage(ctx context.Context, method, path string, body any) ([]byte, error) {
	return send(ctx, method, h.URL+"/rest/v1"+path, body, func(r *http.Request) { r.SetBasicAuth(h.User, h.Password) })
}

func send(ctx context.Context, method, url string, body any, enter func(*http.Request)) ([]byte, error) {
	var in io.Reader = http.NoBody
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		in = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, in)
	if err != nil {
		return nil, err
	}
	enter(req)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode/100 != 2 {
		err = &StatusError{res.StatusCode, string(data)}
	}
	return data, err
}

// Device acts towards hawkBit as the existing update server does for a device, over
// DDI (contract 7.1).
type Device struct {
	// Hawkbit is the URL of the server.
	Hawkbit string
	// Controller is the id of the target.
	Controller string
}

func (d Device) call(ctx context.Context, method, url string, body any) ([]byte, error) {
	return send(ctx, method, url, body, func(r *http.Request) {
		r.Header.Set("Authorization", "GatewayToken "+GatewayToken)
		r.Header.Set("Accept", "application/hal+json")
	})
}

// Update is what a device is asked to install.
type Update struct{ Name, Version, Content string }

type links map[string]struct{ Href string }

// Poll returns the update that is offered and the URL of its deployment, "" for none.
func (d Device) Poll(ctx context.Context) (u Update, deployment string, err error) {
	data, err := d.call(ctx, http.MethodGet, d.Hawkbit+"/DEFAULT/controller/v1/"+d.Controller, nil)
	if err != nil {
		return u, "", err
	}
	var offer struct {
		Links links `json:"_links"`
	}
	if err := json.Unmarshal(data, &offer); err != nil {
		return u, "", err
	}
	at := offer.Links["deploymentBase"].Href
	if at == "" {
		return u, "", nil
	}
	if data, err = d.call(ctx, http.MethodGet, at, nil); err != nil {
		return u, "", err
	}
	var found struct {
		Deployment struct {
			Chunks []struct {
				Name, Version string
				Artifacts     []struct {
					Size  int64
					Links links `json:"_links"`
				}
			}
		}
	}
	if err := json.Unmarshal(data, &found); err != nil {
		return u, "", err
	}
	if len(found.Deployment.Chunks) != 1 || len(found.Deployment.Chunks[0].Artifacts) != 1 { // HB-1
		return u, "", fmt.Errorf("not one module with one artifact: %s", data)
	}
	chunk := found.Deployment.Chunks[0]
	content, err := d.call(ctx, http.MethodGet, chunk.Artifacts[0].Links["download-http"].Href, nil)
	if err == nil && int64(len(content)) != chunk.Artifacts[0].Size {
		err = fmt.Errorf("%d bytes, announced were %d", len(content), chunk.Artifacts[0].Size)
	}
	at, _, _ = strings.Cut(at, "?")
	return Update{chunk.Name, chunk.Version, string(content)}, at, err
}

// Installed reports that the device has installed what a deployment offers.
func (d Device) Installed(ctx context.Context, deployment string) error {
	_, err := d.call(ctx, http.MethodPost, deployment+"/feedback", map[string]any{
		"status": map[string]any{
			"execution": "closed",
			"result":    map[string]any{"finished": "success"},
			"details":   []string{"done"},
		},
	})
	return err
}
