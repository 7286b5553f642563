package coordinator_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

const (
	secretValue = "SECRET-access-token"
	secretState = "SECRET-refresh-token"
)

func secrets(t *testing.T) map[string]any {
	token := coordinator.NewToken(secretValue, day).WithState(secretState)
	token.Generation = 7
	grant := grantOf(secretValue, day, time.Hour)
	grant.State = secretState
	record, _ := coordinator.Record{}.Child(stamp(day)).Commit("late", grant, lastWins)
	return map[string]any{
		"token": token, "pointer to token": &token, "grant": grant, "pointer to grant": &grant,
		"record": record, "pointer to record": &record,
		"tokens": []coordinator.Token{token}, "map": map[string]coordinator.Grant{"shop": grant},
		"within": struct{ Current coordinator.Token }{token},
	}
}

func check(t *testing.T, how, output string) {
	t.Helper()
	for _, form := range []string{"SECRET", fmt.Sprintf("%x", "SECRET"), fmt.Sprintf("%X", "SECRET"), fmt.Sprintf("% x", "SECRET"), strings.Trim(fmt.Sprint([]byte("SECRET")), "[]")} {
		if strings.Contains(output, form) {
			t.Errorf("%s shows a secret: %s", how, output)
			return
		}
	}
}

// TestNothingPrintsASecret leaves out %p and %w: they are wrong for a token,
// go vet refuses them, and fmt then prints past every method.
func TestNothingPrintsASecret(t *testing.T) {
	for name, value := range secrets(t) {
		for _, verb := range "vTtbcdoOqxXUeEfFgGs!y" {
			for _, flag := range []string{"", "+", "#", "-", " ", "0", "40", ".3"} {
				format := "%" + flag + string(verb)
				check(t, name+" "+format, fmt.Sprintf(format, value))
			}
		}
		check(t, name+" Sprintln", fmt.Sprintln(value))
		check(t, name+" among others", fmt.Sprint("no verb", value))
		check(t, name+" as an error", errors.Join(fmt.Errorf("bad token %v", value)).Error())

		text, err := json.Marshal(value)
		if err != nil {
			t.Errorf("%s as JSON: %v", name, err)
		}
		check(t, name+" as JSON", string(text))

		for kind, handler := range map[string]func(*bytes.Buffer) slog.Handler{
			"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
			"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		} {
			var out bytes.Buffer
			slog.New(handler(&out)).Info("minted", "it", value, slog.Group("group", "it", value))
			check(t, name+" by slog as "+kind, out.String())
			if !strings.Contains(out.String(), "minted") {
				t.Errorf("%s by slog as %s: nothing was logged", name, kind)
			}
		}
	}
}

func TestATokenPrintsItsFingerprint(t *testing.T) {
	token := coordinator.Token{Value: "one", Generation: 7}
	const want = "token 7692c3ad3540bb80 generation 7" // printf one | sha256sum
	text, _ := token.MarshalText()
	for _, got := range []string{token.String(), fmt.Sprint(token), fmt.Sprintf("%#v", token), string(text), token.LogValue().String()} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if token.Fingerprint() != "7692c3ad3540bb80" || coordinator.Fingerprint("one") != token.Fingerprint() {
		t.Errorf("fingerprint is %s", token.Fingerprint())
	}
	if none := (coordinator.Token{}); none.String() != "token (none)" || none.Fingerprint() != "" {
		t.Errorf("no token is %q with fingerprint %q", none, none.Fingerprint())
	}
	if grant := (coordinator.Grant{Value: "one", Generation: 7}); grant.String() != "grant 7692c3ad3540bb80 generation 7" {
		t.Errorf("a grant is %q", grant)
	}
}

// TestAFieldOfANewerVersionIsNotPrinted: it may be a secret for all we know.
func TestAFieldOfANewerVersionIsNotPrinted(t *testing.T) {
	fields := minted(t, "one", day, time.Hour, lastWins).Fields()
	fields["second_refresh_token"] = secretState
	r, err := coordinator.ParseRecord(fields)
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		check(t, format, fmt.Sprintf(format, r))
	}
}
