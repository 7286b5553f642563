//go:build unix

package filestore_test

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// A stopped process keeps its lock, and says who it is. A killed one frees it
// at once.
func TestStoppedAndKilledHolder(t *testing.T) {
	dir := t.TempDir()
	p := start(t, "hold", dir)
	p.line(t)
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	_, err := s.Lock(t.Context(), "shop", "me", time.Nanosecond)
	var locked *coordinator.LockedError
	if !errors.As(err, &locked) || locked.Holder != "holder-1" {
		t.Errorf("Lock while the holder is stopped: %v, want a LockedError that names holder-1", err)
	}
	p.kill(t)
	if locked, err := s.Holder(t.Context(), "shop"); locked != nil || err != nil {
		t.Errorf("Holder after the holder was killed: %v, error %v; want nil", locked, err)
	}
	lease, err := s.Lock(t.Context(), "shop", "me", time.Second)
	if err != nil {
		t.Fatalf("Lock after the holder was killed: %v", err)
	}
	if err := lease.Release(t.Context()); err != nil {
		t.Error(err)
	}
}
