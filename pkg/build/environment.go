// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

func (r *reader) env(v any, at string) (env []EnvVar) {
	list, ok := r.list(v, at, maxEnv)
	if !ok {
		return nil
	}
	var names []string
	for i, item := range list {
		at := fmt.Sprintf("%s[%d]", at, i)
		entry, ok := r.object(item, at)
		if !ok {
			continue
		}
		name := r.text(entry, "name", at, true)
		if name != "" && slices.Contains(names, name) {
			r.fail(at+".name", "%s is set twice: remove one", quote(name))
		}
		names = append(names, name)
		r.envName(name, at+".name")
		env = append(env, EnvVar{Name: name, Value: r.envValue(entry, at)})
	}
	return env
}

// envValue reads a string, or a list of strings that is joined with commas (A18).
func (r *reader) envValue(entry map[string]any, at string) string {
	switch v := entry["value"].(type) {
	case string:
		return r.plain(v, at+".value")
	case []any:
		parts := make([]string, 0, len(v))
		for i, p := range v {
			s, ok := p.(string)
			if !ok {
				r.fail(fmt.Sprintf("%s.value[%d]", at, i), "is %s: write a string", kindOf(p))
			}
			parts = append(parts, s)
		}
		return r.plain(strings.Join(parts, ","), at+".value")
	case nil:
		r.fail(at+".value", "is missing: write a string, \"\" for an empty one")
	default:
		r.fail(at+".value", "is %s: write a string or a list of strings", kindOf(v))
	}
	return ""
}

// secrets reads variables whose values are in a Secret, under their own names if no key is
// given. They have a list of their own: an entry of env without a value stops the update
// server (contract 5.2).
func (r *reader) secrets(v any, at string, env []EnvVar) (secrets []SecretVar) {
	list, ok := r.list(v, at, maxEnv)
	if !ok {
		return nil
	}
	for i, item := range list {
		at := fmt.Sprintf("%s[%d]", at, i)
		entry, ok := r.object(item, at)
		if !ok {
			continue
		}
		name := r.text(entry, "name", at, true)
		if name != "" && (slices.ContainsFunc(env, func(e EnvVar) bool { return e.Name == name }) ||
			slices.ContainsFunc(secrets, func(s SecretVar) bool { return s.Name == name })) {
			r.fail(at+".name", "%s is set twice: remove one", quote(name))
		}
		r.envName(name, at+".name")
		if _, ok := entry["value"]; ok {
			r.fail(at+".value", "stands where everybody can read it: put it into the Secret, under the key")
		}
		key := r.text(entry, "key", at, false)
		if key != "" && (!keyPattern().MatchString(key) || len(key) > 253 || strings.HasPrefix(key, "..") || key == ".") {
			r.fail(at+".key", "%s is no key of a Secret: use letters, digits, '-', '_' and '.'", quote(key))
		}
		secrets = append(secrets, SecretVar{Name: name, Key: cmp.Or(key, name)})
	}
	return secrets
}
