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
	f.Add([]byte("$77348773489600\r\n"))
	f.Add([]byte("*99999999999\r\n"))
	f.Add([]byte("*3\r\n*131000\r\n%9999999\r\n"))
	f.Add([]byte("|1\r\n+a\r\n:1\r\n>2\r\n+message\r\n~0\r\n:5\r\n"))
	f.Fuzz(func(t *testing.T, reply []byte) {
		s := answering(t, 2, reply)
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
		_, _, _ = answering(t, 3, reply).Load(ctx, "shop") // where the server may speak unasked
	})
}

// answering returns a store whose server gives the same answer to every
// command, and hangs up. With protocol 3 it first greets as it should.
func answering(t *testing.T, protocol int, reply []byte) *redisstore.Store {
	t.Helper()
	o, err := redisstore.ParseURL("redis://127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	o.Protocol = protocol
	o.ReadBufferSize, o.WriteBufferSize = 512, 512 // what the executions cost is mostly buffers
	o.Dialer = redisstore.BoundReplies(func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() {
			defer there.Close()
			lines := bufio.NewReader(there)
			if protocol == 3 {
				if readCommand(lines) != nil {
					return
				}
				_, _ = io.WriteString(there, "%1\r\n+proto\r\n:3\r\n")
			}
			if readCommand(lines) == nil {
				go io.Copy(io.Discard, lines) // a pipe holds nothing: whoever sends would wait
				_, _ = there.Write(reply)
			}
		}()
		return here, nil
	})
	client := redis.NewUniversalClient(o)
	t.Cleanup(func() { client.Close() })
	return redisstore.New(client, redisstore.Config{})
}

// readCommand reads one command to its end.
func readCommand(lines *bufio.Reader) error {
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
