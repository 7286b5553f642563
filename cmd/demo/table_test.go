package main

import "testing"

func TestTable(t *testing.T) {
	today := result{outcomes: []outcome{
		{"cold start", counts{calls: 72, mints: 13, rejected: 10, failed: 3}, ""},
		{"kill in mid-mint", counts{calls: 90, mints: 240, rejected: 1445, failed: 227}, "killed replica 4, pid 29314"},
	}}
	ours := result{outcomes: []outcome{
		{"cold start", counts{calls: 72, mints: 1}, ""},
		{"kill in mid-mint", counts{calls: 91, mints: 3, rejected: 1}, "killed replica 1, pid 31078"},
	}}
	const want = `
                               today's SDKs                   mintonce
                           mints rejected   failed      mints rejected   failed
  cold start                  13       10        3          1        0        0
  kill in mid-mint           240     1445      227          3        1        0
  -----------------------------------------------------------------------------
  all                        253     1455      230          4        1        0
  of API calls                                 162                          163
`
	if got := "\n" + table(today, ours); got != want {
		t.Errorf("the table is %s\nwant %s", got, want)
	}
}

func TestACallThatMintonceLostIsAFailure(t *testing.T) {
	ours := result{outcomes: []outcome{{counts: counts{calls: 9, rejected: 3}}, {}}}
	if err := shortfall(ours); err != nil {
		t.Errorf("no call was lost, but: %v", err)
	}
	ours.outcomes[1].failed, ours.firstFailure = 2, "the API answered errcode 40001"
	if err := shortfall(ours); err == nil || err.Error() != "mintonce lost 2 API calls, where it should lose none; the first: the API answered errcode 40001" {
		t.Errorf("two calls were lost: %v", err)
	}
}

func TestMeaning(t *testing.T) {
	sides := func(todayFailed, oursFailed int) (today, ours result) {
		today.outcomes = []outcome{{counts: counts{mints: 28, failed: todayFailed}}}
		ours.outcomes = []outcome{{counts: counts{mints: 1, failed: oursFailed}}}
		return today, ours
	}
	for _, test := range []struct {
		today, ours int
		want        string
	}{
		{5, 0, "Same calls, same accidents: today's way, 6 replicas minted 28 tokens and lost 5 calls;\nwith mintonce they minted 1 token and lost no call."},
		{0, 1, "Same calls, same accidents: today's way, 6 replicas minted 28 tokens and lost no call;\nwith mintonce they minted 1 token and lost 1 call."},
	} {
		today, ours := sides(test.today, test.ours)
		if got := meaning(6, today, ours); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
