// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package hawkbittest

import (
	"net/http"
	"regexp"
	"strings"
)

// query is a filter in FIQL (HBW-101, HBW-103), but for comparisons of size.
type query interface {
	// match compares without regard to case; "==" knows the wildcard "*" (HBW-102).
	match(fields map[string]string) (bool, error)
	// terms are its comparisons.
	terms() []term
}

// everything is the filter of a call without one.
type everything struct{}

func (everything) match(map[string]string) (bool, error) { return true, nil }
func (everything) terms() []term                         { return nil }

type term struct {
	field, operator string
	values          []string
}

// both holds if all do, either if one does.
type (
	both   []query
	either []query
)

func (q both) match(fields map[string]string) (bool, error) {
	all := true
	for _, part := range q {
		ok, err := part.match(fields)
		if err != nil {
			return false, err
		}
		all = all && ok
	}
	return all, nil
}

func (q either) match(fields map[string]string) (bool, error) {
	found := false
	for _, part := range q {
		ok, err := part.match(fields)
		if err != nil {
			return false, err
		}
		found = found || ok
	}
	return found, nil
}

func (q both) terms() []term   { return termsOf(q) }
func (q either) terms() []term { return termsOf(q) }
func (t term) terms() []term   { return []term{t} }

func termsOf(parts []query) (all []term) {
	for _, part := range parts {
		all = append(all, part.terms()...)
	}
	return all
}

func (t term) match(fields map[string]string) (bool, error) {
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
	return hit == (t.operator == "==" || t.operator == "=in="), nil
}

// parseQuery reads the filter of a call.
func parseQuery(r *http.Request) (query, error) {
	values, ok := r.URL.Query()["q"]
	if !ok {
		return everything{}, nil
	}
	p := parser{values[0]}
	if q, ok := p.either(); ok && p.rest == "" {
		return q, nil
	}
	return nil, &fault{
		http.StatusBadRequest,
		packages + "RSQLParameterSyntaxException",
		"rest.param.rsqlParamSyntax",
		"",
		nil,
	}
}

// parser reads a filter by recursive descent.
type parser struct{ rest string }

var (
	orPattern   = regexp.MustCompile(`^(,|\s+or\s+)`)
	andPattern  = regexp.MustCompile(`^(;|\s+and\s+)`)
	termPattern = regexp.MustCompile(`^([A-Za-z.]+)(==|!=|=in=|=out=)`)
	// valuePattern is a value in quotes, or one without any of what has a meaning.
	valuePattern = regexp.MustCompile(`^("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s"'();,=<>!~]+)`)
)

// take reads what matches, and returns its groups.
func (p *parser) take(pattern *regexp.Regexp) (groups []string, ok bool) {
	groups = pattern.FindStringSubmatch(p.rest)
	if groups == nil {
		return nil, false
	}
	p.rest = p.rest[len(groups[0]):]
	return groups, true
}

func (p *parser) skip(text string) (ok bool) {
	p.rest, ok = strings.CutPrefix(p.rest, text)
	return ok
}

func (p *parser) either() (query, bool) {
	var parts either
	for {
		part, ok := p.both()
		if !ok {
			return nil, false
		}
		parts = append(parts, part)
		if _, more := p.take(orPattern); !more {
			return parts, true
		}
	}
}

func (p *parser) both() (query, bool) {
	var parts both
	for {
		part, ok := p.term()
		if !ok {
			return nil, false
		}
		parts = append(parts, part)
		if _, more := p.take(andPattern); !more {
			return parts, true
		}
	}
}

// term reads a comparison, or a group.
func (p *parser) term() (query, bool) {
	if p.skip("(") {
		q, ok := p.either()
		return q, ok && p.skip(")")
	}
	head, ok := p.take(termPattern)
	if !ok {
		return nil, false
	}
	t := term{field: strings.ToLower(head[1]), operator: head[2]}
	list := head[2] != "==" && head[2] != "!=" && p.skip("(")
	for {
		value, ok := p.take(valuePattern)
		if !ok {
			return nil, false
		}
		t.values = append(t.values, unquote(value[0]))
		if !list {
			return t, true
		}
		if !p.skip(",") {
			return t, p.skip(")")
		}
	}
}

func unquote(s string) string {
	if s[0] != '"' && s[0] != '\'' {
		return s
	}
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\'`, `'`).Replace(s[1 : len(s)-1])
}
