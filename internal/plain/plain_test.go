package plain_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/plain"
)

func TestText(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{fmt.Errorf("%w: %w", coordinator.ErrNoToken, coordinator.ErrNeverMint), "no usable token: this coordinator never mints"},
		{errors.Join(errors.New("one"), errors.New("two\x1b[31m")), "one; two [31m"},
		{fmt.Errorf("%w while waiting: %w", context.DeadlineExceeded, coordinator.ErrLocked), "the time is up while waiting: lock is held by another process"},
		{errors.New("filestore: mkdir /var/lib/mintonce: permission denied"), "mkdir /var/lib/mintonce: permission denied"},
		{errors.New("fallback: filestore: mintonce: a; redisstore: b\nwechat: c"), "fallback: a; b; c"},
		{errors.New("redisstore: load shop: x\xff"), "load shop: x?"},
	} {
		if got := plain.Text(test.err); got != test.want {
			t.Errorf("%v is told as %q, want %q", test.err, got, test.want)
		}
	}
}
