// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

package tekton_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/drogue-iot/ajour/pkg/build"
	"github.com/drogue-iot/ajour/pkg/tekton"
)

// refusing answers each creation by an error.
type refusing struct {
	tekton.PipelineRuns

	err error
}

func (r refusing) Create(context.Context, *v1.PipelineRun, metav1.CreateOptions) (*v1.PipelineRun, error) {
	return nil, r.err
}

// TestOnlyWhatNoRetryCanHelpIsRefused: the texts are those of Kubernetes 1.35.
func TestOnlyWhatNoRetryCanHelpIsRefused(t *testing.T) {
	t.Parallel()
	runs := schema.GroupResource{Group: "tekton.dev", Resource: "pipelineruns"}
	webhook := func(code int32) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{
			Status: metav1.StatusFailure, Code: code, Reason: map[int32]metav1.StatusReason{
				http.StatusForbidden: metav1.StatusReasonForbidden, http.StatusBadRequest: metav1.StatusReasonBadRequest,
			}[code],
			Message: `admission webhook "validate.example.org" denied the request: no builds on Fridays`,
		}}
	}
	tests := map[string]struct {
		err     error
		refused bool
	}{
		"a run that is not valid": {
			apierrors.NewInvalid(schema.GroupKind{Group: "tekton.dev", Kind: "PipelineRun"}, "b", nil), true,
		},
		"a policy":         {webhook(http.StatusForbidden), true},
		"Tekton's webhook": {webhook(http.StatusBadRequest), true},
		"a run too large":  {apierrors.NewRequestEntityTooLargeError("limit is 3145728"), true},
		"a quota": {
			apierrors.NewForbidden(runs, "b", errors.New("exceeded quota: builds, used: 10")),
			false,
		},
		"a namespace on its way out": {apierrors.NewForbidden(runs, "b", errors.New("namespace is being terminated")), false},
		"a timeout":                  {apierrors.NewServerTimeout(runs, "create", 1), false},
		"too many requests":          {apierrors.NewTooManyRequests("wait", 1), false},
		"an API server that has not read its roles": {
			apierrors.NewForbidden(runs, "", errors.New(
				`User "system:serviceaccount:ajour:builder" cannot create resource "pipelineruns" in API group "tekton.dev"`,
			)), false,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tekton.NewClient(refusing{err: tt.err}, nil, nil, tekton.Config{}).Create(t.Context(), spec())
			if !errors.Is(err, tt.err) || errors.Is(err, build.ErrRefused) != tt.refused {
				t.Error(fmt.Errorf("refused should be %t: %w", tt.refused, err))
			}
		})
	}
	exists := apierrors.NewAlreadyExists(runs, "b")
	if err := tekton.NewClient(refusing{err: exists}, nil, nil, tekton.Config{}).Create(t.Context(), spec()); err != nil {
		t.Errorf("a run that exists already: %v", err)
	}
}

func TestARegistryPrefixIsValid(t *testing.T) {
	t.Parallel()
	for prefix, valid := range map[string]bool{
		"": true, "quay.io/acme/": true, "localhost:5000/": true, "Quay.io/acme/": true, "quay.io/acme/fw-": true,
		"quay.io/Acme/": false, "https://quay.io/": false, "quay.io//": false, "quay.io/acme:": false, "a b/": false,
	} {
		if err := (tekton.Config{RegistryPrefix: prefix}).Validate(); (err == nil) != valid {
			t.Errorf("%q: %v", prefix, err)
		}
	}
}
