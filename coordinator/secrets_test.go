package coordinator_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

func TestRecordsInJSONHaveNoSecret(t *testing.T) {
	r := coordinator.Record{Grant: coordinator.Grant{Value: "secret-value", State: "secret-state"}, Spares: []string{"secret-spare"}}
	for _, v := range []any{r, &r, coordinator.Loaded{Record: r}} {
		text, err := json.Marshal(v)
		if err != nil || strings.Contains(string(text), "secret") {
			t.Errorf("%s, %v", text, err)
		}
	}
}

// The text of an error that is no SourceError may be anything.
func TestErrorOfASourceIsNotPassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c, _ := f.member("a")
		token(t, c)
		f.provider.fail(&url.Error{Op: "Get", URL: "https://api.example.com/token?secret=hunter2", Err: errors.New("connection reset")})
		if _, err := c.Rotate(t.Context()); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error tells a secret: %v", err)
		}
	})
}

// Nor is the text of an error that is around a SourceError passed on; what that
// tells is.
func TestErrorAroundASourceErrorIsNotPassedOn(t *testing.T) {
	refused := &coordinator.SourceError{Class: coordinator.Quota, Code: 45009, Message: "no more today", Refused: true}
	for _, failure := range []error{
		fmt.Errorf("https://api.example.com/token?secret=hunter2: %w", refused),
		errors.Join(errors.New("secret=hunter2"), refused),
	} {
		for _, away := range []bool{false, true} { // an idempotent source is asked without the store, too
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				f.provider.traits.Kind = coordinator.Idempotent
				c, faults := f.member("a")
				if away {
					faults.Fail(storetest.Any, storetest.Always, errDown)
				}
				f.provider.fail(failure)
				_, err := c.Token(t.Context())
				var source *coordinator.SourceError
				if !errors.As(err, &source) || source.Code != 45009 || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("%v, store away %v: %v", failure, away, err)
				}
			})
		}
	}
}
