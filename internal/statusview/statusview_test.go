package statusview_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/statusview"
)

var now = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

// troubled has everything that a status can have.
func troubled() coordinator.Status {
	return coordinator.Status{
		Name: "shop", State: "minting", Now: now, Generation: 12, Fingerprint: "0123456789abcdef", Credential: "wechat:wx1234567890abcdef#0123456789abcdef",
		Revision: now.UnixMilli(), IssuedAt: now.Add(-90 * time.Minute), ExpiresAt: now.Add(30 * time.Minute), ExpiresIn: 1800, RefreshAt: now.Add(-time.Minute),
		MintedBy: "refresher-7d9c5b6f4-x2x9k-1", Reason: "due", Next: "mint (doubt) in 4m52s: mintonce: the last mint failed",
		Doubt: "the provider rejected it, says web-1", DoubtSince: now.Add(-75 * time.Second), EarlyReports: 3,
		Foreign: &coordinator.ForeignStatus{
			Named: true, Count: 4, At: now.Add(-75 * time.Second), By: "several reporters", Until: now.Add(285 * time.Second),
			Advice: "if only one kind of call is rejected, look at that call first; otherwise use mode stable",
		},
		Attempts: []coordinator.Attempt{{ID: "a", By: "web-2", Reason: "doubt", BeganAt: now.Add(-2 * time.Second).UnixMilli(), Deadline: now.Add(8 * time.Second)}},
		Failure: &coordinator.FailureStatus{
			At: now.Add(-8 * time.Second), By: "web-1", Class: coordinator.Operator, Code: 40164, Count: 3, RetryAfter: now.Add(292 * time.Second),
			Message: "the address 203.0.113.7 is not on the IP whitelist (code 40164): add 203.0.113.7 to the account's IP whitelist in WeChat's console",
		},
		Budget:     coordinator.BudgetStatus{Day: "2026-11-24", Mints: 1, MintLimit: 1800, Rotations: 2, RotationLimit: 18},
		LockHolder: "web-2",
		History: []coordinator.Event{
			{Kind: coordinator.EventFailed, At: now.Add(-8 * time.Second), By: "web-1", Reason: "doubt", Took: 45 * time.Millisecond, Detail: "a\x1b[2J long detail " + strings.Repeat("word ", 30)},
			{Kind: coordinator.EventRotating, At: now.Add(-time.Hour), By: "web-1", Reason: "rotate", Actor: "client " + strings.Repeat("o", 90)},
			{Kind: coordinator.EventMinted, At: now.Add(-26 * time.Hour), By: strings.Repeat("x", 64), Generation: 12},
		},
	}
}

func text(t *testing.T, entries ...statusview.Entry) string {
	t.Helper()
	var out strings.Builder
	if err := (statusview.Overview{Tokens: entries}).Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestText(t *testing.T) {
	got := text(t, statusview.Entry{Name: "shop", Status: troubled()})
	const want = `shop: minting, generation 12
  [#############################|..........] 30m00s of 2h00m left
  minted     1h30m ago by refresher-7d9c5b6f4-x2x9k-1 (due),
             2026-11-24T08:30:00Z
  refresh    1m00s ago                                      2026-11-24T09:59:00Z
  expires    in 30m00s                                      2026-11-24T10:30:00Z
  token      fingerprint 0123456789abcdef
  account    wechat:wx1234567890abcdef#0123456789abcdef
  next       mint (doubt) in 4m52s: the last mint failed
  doubt      the provider rejected it, says web-1, 1m15s ago,
             2026-11-24T09:58:45Z
  reports    3 reports of it came before it was old enough to be doubted
  foreign    somebody else seems to mint with this credential
             4 rejections in a row that no mint of ours explains, the last 1m15s
             ago by several reporters
             mints because of a rejection are spaced out: the next in 4m45s
             if only one kind of call is rejected, look at that call first;
             otherwise use mode stable
  minting    web-2 since 2s (doubt), unresolved at the latest in 8s
  failure    3 mints in a row failed, 8s ago by web-1       2026-11-24T09:59:52Z
             the address 203.0.113.7 is not on the IP whitelist (code 40164):
             add 203.0.113.7 to the account's IP whitelist in WeChat's console
             operator failure, next try in 4m52s
  lock       held by web-2
  budget     1 of 1800 mints and 2 of 18 rotations on 2026-11-24
`
	head, events, _ := strings.Cut(got, "  events ")
	if head != want {
		t.Errorf("got\n%s\nwant\n%s", head, want)
	}
	if !strings.Contains(events, "failed") || !strings.Contains(events, "by web-1 (doubt), took 45ms") || !strings.Contains(events, "1d2h  minted") ||
		!strings.Contains(events, "rotation asked   by web-1 (rotate)\n                       asked by client oooo") {
		t.Errorf("events are\n%s", events)
	}
	for line := range strings.Lines(got) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
		if strings.ContainsRune(line, '\x1b') {
			t.Errorf("a control character: %q", line)
		}
	}
}

func TestTextOfOthers(t *testing.T) {
	expired := coordinator.Status{Name: "old", State: "expired", Now: now, Generation: 1, IssuedAt: now.Add(-3 * time.Hour), ExpiresAt: now.Add(-time.Hour), Next: "mint"}
	got := text(t,
		statusview.Entry{Name: "new", Status: coordinator.Status{Name: "new", State: "missing", Now: now, Next: "mint (no token)"}},
		statusview.Entry{Name: "old", Status: expired},
		statusview.Entry{Name: "bad", Err: errors.New("mintonce: record is damaged")},
	)
	for _, want := range []string{
		"new: missing\n  next       mint (no token)\n",
		"\n\nold: expired, generation 1\n  [########################################] expired\n",
		"  expired    1h00m ago",
		"\n\nbad: unknown\n  error      record is damaged\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if got := text(t); !strings.HasPrefix(got, "no tokens") {
		t.Errorf("of nothing: %q", got)
	}
}

// TestForeign: what is suspected and what is named read differently, and a
// caller's mistake reads as neither.
func TestForeign(t *testing.T) {
	for _, test := range []struct {
		foreign coordinator.ForeignStatus
		want    string
	}{
		{coordinator.ForeignStatus{Count: 1, By: "web-1", Advice: "do this"}, "foreign suspected: somebody else may mint with this credential 1 rejection in a row that no mint of ours explains, the last 1m00s ago by web-1 do this next"},
		{coordinator.ForeignStatus{Named: true, Count: 2, By: "web-1", Advice: "do this"}, "foreign somebody else seems to mint with this credential 2 rejections in a row that no mint of ours explains, the last 1m00s ago by web-1 do this next"},
		{coordinator.ForeignStatus{Vouched: 2, By: "web-1", Advice: "do this"}, "vouched asked because of a rejection, the provider gave out the same token again, 2 times: look at the call that is rejected next"},
	} {
		test.foreign.At = now.Add(-time.Minute)
		got := text(t, statusview.Entry{Status: coordinator.Status{Name: "shop", State: "live", Now: now, Foreign: &test.foreign}})
		// The facts that follow are those of a token that is in order.
		words := strings.Join(strings.Fields(strings.Replace(got, "lock", "next", 1)), " ")
		if !strings.Contains(words, test.want) {
			t.Errorf("got\n%s\nwant %s", got, test.want)
		}
	}
}

func TestBar(t *testing.T) {
	for left, want := range map[time.Duration]string{
		2 * time.Hour:                   "[.....................................|..] 2h00m of 2h00m left",
		time.Hour:                       "[####################.................|..] 1h00m of 2h00m left",
		time.Second:                     "[#####################################|#.] 1s of 2h00m left",
		0:                               "[########################################] expired",
		-time.Second:                    "[########################################] expired",
		2*time.Hour + 10*time.Second:    "[.....................................|..] 2h00m of 2h00m left", // a clock that was set back
		100*time.Minute + 1*time.Second: "[######...............................|..] 1h40m of 2h00m left",
	} {
		expires := now.Add(left)
		s := coordinator.Status{Name: "shop", State: "live", Now: now, Generation: 1, IssuedAt: expires.Add(-2 * time.Hour), ExpiresAt: expires, RefreshAt: expires.Add(-9 * time.Minute)}
		if got := strings.TrimSpace(strings.Split(text(t, statusview.Entry{Status: s}), "\n")[1]); got != want {
			t.Errorf("with %s left:\n%s, want\n%s", left, got, want)
		}
	}
}

func TestJSON(t *testing.T) {
	overview := statusview.Read(context.Background(), []string{"shop", "bad"}, func(_ context.Context, name string) (coordinator.Status, error) {
		if name == "bad" {
			return coordinator.Status{}, errors.New("mintonce: record is damaged")
		}
		return troubled(), nil
	})
	if err := overview.Err(); err == nil || err.Error() != "mintonce: record is damaged" {
		t.Errorf("Err is %v", err)
	}
	data, err := json.Marshal(overview)
	if err != nil {
		t.Fatal(err)
	}
	var read struct{ Tokens []map[string]any }
	if err := json.Unmarshal(data, &read); err != nil || len(read.Tokens) != 2 {
		t.Fatalf("%v: %s", err, data)
	}
	if shop := read.Tokens[0]; shop["name"] != "shop" || shop["generation"] != 12.0 || shop["expires_in"] != 1800.0 || shop["lock_holder"] != "web-2" {
		t.Errorf("shop is %v", shop)
	}
	if bad := read.Tokens[1]; len(bad) != 4 || bad["name"] != "bad" || bad["state"] != "unknown" || bad["error"] != "record is damaged" {
		t.Errorf("bad is %v", bad)
	}
	if data, _ := json.Marshal(statusview.Read(context.Background(), nil, nil)); string(data) != `{"tokens":[]}` {
		t.Errorf("nothing is %s", data)
	}
}

// TestWhoseDay: the provider's day is not always the one here.
func TestWhoseDay(t *testing.T) {
	s := coordinator.Status{Name: "shop", State: "live", Now: now, Budget: coordinator.BudgetStatus{Day: now.Local().Format(time.DateOnly), Mints: 1}}
	if got := text(t, statusview.Entry{Status: s}); strings.Contains(got, "provider's day") {
		t.Errorf("got\n%s", got)
	}
	s.Budget.Day = now.Local().AddDate(0, 0, 1).Format(time.DateOnly)
	if got := text(t, statusview.Entry{Status: s}); !strings.Contains(got, s.Budget.Day+" (the provider's day, UTC+8)") {
		t.Errorf("got\n%s", got)
	}
}
