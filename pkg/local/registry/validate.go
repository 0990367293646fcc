// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// errInvalidName answers 400 with an empty body.
var errInvalidName = errors.New("invalid name")

func (o *object) checkName(device bool) error {
	if device {
		if o.Name == "" || len(o.Name) > 255 || o.Application == "" {
			return errInvalidName
		}
		return nil
	}
	if len(o.Name) > 253 {
		return errInvalidName
	}
	for label := range strings.SplitSeq(o.Name, ".") {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return errInvalidName
		}
	}
	return nil
}

// checkStorable answers as the database does for what its columns do not take:
// with 503, although no repetition will ever help (N1).
func (o *object) checkStorable(device bool) error {
	if !device && len(o.Name) > 64 {
		return tooLong(64)
	}
	for _, f := range o.Finalizers {
		if utf8.RuneCountInString(f) > 63 {
			return tooLong(63)
		}
	}
	if strings.ContainsRune(o.Name, 0) || strings.ContainsRune(o.Application, 0) {
		return errNULName
	}
	for _, alias := range o.aliases() {
		if len(alias) > 256 {
			return tooLong(256)
		}
	}
	data, err := json.Marshal([]any{o.Finalizers, o.Labels, o.Annotations, o.Spec, o.Status})
	if err != nil {
		return err
	}
	if bytes.Contains(bytes.ReplaceAll(data, []byte(`\\`), nil), []byte(`\u0000`)) {
		return errNUL
	}
	return nil
}

// checkSections limits the names of sections that a PUT changes: each path has
// to fit into a column of the outbox.
func checkSections(paths []string) error {
	for _, p := range paths {
		if utf8.RuneCountInString(strings.TrimPrefix(strings.TrimPrefix(p, ".spec."), ".status.")) > 249 {
			return tooLong(255)
		}
	}
	return nil
}

// aliases are the further names of a device: no two devices of an application
// may share one.
func (o *object) aliases() []string {
	var aliases []string
	_ = json.Unmarshal(o.Spec["alias"], &aliases) // of a different shape: no alias
	type user struct {
		Username string `json:"username"`
		Unique   bool   `json:"unique"`
	}
	for _, section := range []string{"authentication", "credentials"} { // the second is the older name
		var auth struct {
			Credentials []struct {
				User *user `json:"user"`
			} `json:"credentials"`
		}
		_ = json.Unmarshal(o.Spec[section], &auth) // of a different shape: no alias
		for _, c := range auth.Credentials {
			if c.User != nil && c.User.Unique {
				aliases = append(aliases, c.User.Username)
			}
		}
	}
	return append(aliases, o.Name)
}
