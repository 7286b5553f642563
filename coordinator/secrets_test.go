package coordinator_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mintonce/mintonce/coordinator"
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
