package redisstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/redis/go-redis/v9"
)

// FuzzReply: whatever answers on the port of Redis, a call ends with a record
// that is one, or with an error, and never with a panic.
func FuzzReply(f *testing.F) {
	f.Add([]byte("*3\r\n:1773489600\r\n:5\r\n*0\r\n"))
	f.Add([]byte("*3\r\n$10\r\n1773489600\r\n$1\r\n5\r\n*2\r\n$5\r\nvalue\r\n$6\r\nsecret\r\n"))
	f.Add([]byte("*3\r\n:1\r\n$10\r\n1773489600\r\n$1\r\n5\r\n"))
	f.Add([]byte("*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$5\r\nevent\r\n$6\r\nminted\r\n"))
	f.Add([]byte("-NOSCRIPT No matching script\r\n"))
	f.Add([]byte("-MOVED 1 127.0.0.1:1\r\n"))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\nsecret"))
	f.Add([]byte("%1\r\n+a\r\n_\r\n"))
	f.Fuzz(func(t *testing.T, reply []byte) {
		s := answering(t, reply)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		r, _, err := s.Load(ctx, "shop")
		if err == nil && r.Exists() {
			if _, again := coordinator.ParseRecord(r.Fields()); again != nil {
				t.Errorf("the record that was loaded cannot be written: %v", again)
			}
		}
		if errors.Is(err, context.DeadlineExceeded) {
			t.Error("Load waited for more than there is")
		}
		next := r.Child(coordinator.NewStamp(r, time.Now()))
		_, _ = s.Swap(ctx, "shop", r.Stamp(), next, coordinator.Event{Kind: coordinator.EventMinted})
		_, _ = s.History(ctx, "shop", 3)
		_, _ = s.Holder(ctx, "shop")
		if lease, err := s.Lock(ctx, "shop", "me", time.Second); err == nil {
			_ = lease.Release(ctx)
		}
	})
}

// answering returns a store whose server gives the same answer to every
// command, and hangs up.
func answering(t *testing.T, reply []byte) *redisstore.Store {
	t.Helper()
	o, err := redisstore.ParseURL("redis://127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	o.DisableIdentity = true
	o.Protocol = 2 // no greeting that the answer would spoil
	o.Dialer = func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			if readCommand(there) == nil {
				_, _ = there.Write(reply)
			}
		}()
		return here, nil
	}
	client := redis.NewUniversalClient(o)
	t.Cleanup(func() { client.Close() })
	return redisstore.New(client, redisstore.Config{})
}

// readCommand reads one command to its end.
func readCommand(from io.Reader) error {
	lines := bufio.NewReader(from)
	var words, length int
	header, err := lines.ReadString('\n')
	if err != nil {
		return err
	}
	if _, err := fmt.Sscanf(strings.TrimSpace(header), "*%d", &words); err != nil {
		return err
	}
	for range words {
		if header, err = lines.ReadString('\n'); err != nil {
			return err
		}
		if _, err := fmt.Sscanf(strings.TrimSpace(header), "$%d", &length); err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, lines, int64(length)+2); err != nil {
			return err
		}
	}
	return nil
}
