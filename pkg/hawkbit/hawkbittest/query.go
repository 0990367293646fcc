// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package hawkbittest

import (
	"net/http"
	"regexp"
	"strings"
)

// query is a filter: all of its terms have to hold.
type query []term

type term struct {
	field, operator string
	values          []string
}

var termPattern = regexp.MustCompile(`^([A-Za-z.]+)(==|!=|=in=|=out=)(.*)$`)

// parseQuery reads the part of FIQL that is used: terms that are joined by ";"
// (HBW-101, HBW-103).
func parseQuery(r *http.Request) (query, error) {
	values, ok := r.URL.Query()["q"]
	if !ok {
		return nil, nil
	}
	var q query
	for _, part := range split(values[0], ';') {
		m := termPattern.FindStringSubmatch(part)
		if m == nil {
			return nil, &fault{
				http.StatusBadRequest,
				packages + "RSQLParameterSyntaxException",
				"rest.param.rsqlParamSyntax",
				"",
				nil,
			}
		}
		t := term{strings.ToLower(m[1]), m[2], nil}
		if strings.HasSuffix(m[2], "=") && len(m[2]) > 2 {
			for _, v := range split(strings.TrimSuffix(strings.TrimPrefix(m[3], "("), ")"), ',') {
				t.values = append(t.values, unquote(v))
			}
		} else {
			t.values = []string{unquote(m[3])}
		}
		q = append(q, t)
	}
	return q, nil
}

// split cuts text at a separator outside of quotes.
func split(s string, separator byte) (parts []string) {
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			parts, start = append(parts, s[start:i]), i+1
		}
	}
	return append(parts, s[start:])
}

func unquote(s string) string {
	inner, ok := strings.CutPrefix(s, `"`)
	if !ok {
		return s
	}
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(strings.TrimSuffix(inner, `"`))
}

// match compares without regard to case; "==" knows the wildcard "*" (HBW-102).
func (q query) match(fields map[string]string) (bool, error) {
	for _, t := range q {
		is, ok := fields[t.field]
		if !ok {
			return false, &fault{
				http.StatusBadRequest,
				packages + "RSQLParameterUnsupportedFieldException",
				"rest.param.rsqlInvalidField",
				"",
				nil,
			}
		}
		hit := false
		for _, v := range t.values {
			if t.operator == "==" || t.operator == "!=" {
				pattern := strings.ReplaceAll(regexp.QuoteMeta(v), `\*`, `.*`)
				hit = hit || regexp.MustCompile(`(?is)^`+pattern+`$`).MatchString(is)
			} else {
				hit = hit || strings.EqualFold(v, is)
			}
		}
		if hit != (t.operator == "==" || t.operator == "=in=") {
			return false, nil
		}
	}
	return true, nil
}
