// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package hawkbittest

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// fault is an answer that is no success. Without a code it has the shape of the
// framework, and without a message either no body at all (HBW-14, HBW-15).
type fault struct {
	status               int
	class, code, message string
	info                 map[string]any
}

func (f *fault) Error() string { return f.message }

const (
	codes    = "hawkbit.server.error."
	packages = "org.eclipse.hawkbit.repository.exception."
)

func exists(message string) error {
	return &fault{http.StatusConflict, packages + "EntityAlreadyExistsException", "repo.entityAlreadyExists", message, nil}
}

func alreadyThere() error { return exists("The given entity already exists in database") }

func missing(kind string, id any) error {
	return &fault{
		http.StatusNotFound,
		packages + "EntityNotFoundException",
		"repo.entityNotFound",
		fmt.Sprintf("%s with given identifier {%v} does not exist.", kind, id),
		map[string]any{"type": kind, "entityId": id},
	}
}

func notReadable() error {
	return &fault{
		http.StatusBadRequest,
		"org.eclipse.hawkbit.rest.exception.MessageNotReadableException",
		"rest.body.notReadable",
		"The given request body is not well formed",
		nil,
	}
}

func constraint(message string) error {
	return &fault{
		http.StatusBadRequest,
		"jakarta.validation.ConstraintViolationException",
		"repo.constraintViolation",
		message,
		nil,
	}
}

func locked(kind string, id int64, what string) error {
	return &fault{
		http.StatusLocked,
		packages + "LockedException",
		"locked",
		fmt.Sprintf("%s with given identifier {%d} is locked and %s is forbidden!", kind, id, what),
		nil,
	}
}

// tooMany is a quota, which stays exceeded until something is deleted (HBW-17).
func tooMany(kind, of string, id any, most int) error {
	return &fault{
		http.StatusTooManyRequests, packages + "AssignmentQuotaExceededException", "quota.tooManyEntries",
		fmt.Sprintf("Quota exceeded: Cannot assign 1 more %s entities to %s '%v'. The maximum is %d.", kind, of, id, most),
		nil,
	}
}

func empty(status int) error { return &fault{status: status} }

// body returns what is sent for a fault. Old servers spell some codes in their own
// way, and have no info (HBW-16).
func (f *fault) body(old bool) any {
	if f.message == "" && f.code == "" {
		return nil
	}
	if f.code == "" {
		return map[string]any{
			"timestamp": time.Now().UTC().Format("2006-01-02T15:04:05.000-07:00"),
			"status":    f.status,
			"error":     f.message,
		}
	}
	code, class := f.code, f.class
	if old {
		code = strings.NewReplacer("entityAlreadyExists", "entitiyAlreayExists", "entityNotFound", "entitiyNotFound",
			"notCancelable", "notcancelable", "notForceQuitable", "notforcequitable").Replace(code)
		class = strings.NewReplacer("jakarta.", "javax.", "InvalidSha256Hash", "InvalidSHA256Hash").Replace(class)
	}
	m := map[string]any{"exceptionClass": class, "errorCode": codes + code}
	if f.message != "" {
		m["message"] = f.message
	}
	if f.info != nil && !old {
		m["info"] = f.info
	}
	return m
}
