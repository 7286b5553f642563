package doctor

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/listen"
	"github.com/mintonce/mintonce/internal/plain"
)

// Listen checks whether serve can listen where the config says, and who can
// reach it there.
func (r *Report) Listen(ctx context.Context, c *config.Config) {
	address, listens := c.Address()
	if !listens {
		return
	}
	who := "by this machine only"
	if address.IsUnix() {
		who = "by those who may open the socket"
	} else if !address.Local() {
		who = "by others than this machine"
	}
	state := "is free"
	switch err := try(ctx, address, c); {
	case errors.Is(err, syscall.EADDRINUSE):
		state = "is in use, by serve if it runs"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		r.warn("listen", "", "%s", plain.Text(err)+"; fine if the config is meant for another machine")
		return
	case err != nil:
		r.fail("listen", err)
		return
	}
	r.ok("listen", "%s %s, and can be reached %s", address, state, who)
	if !address.Local() && !c.TLS.Enabled() {
		r.warn("listen", "set tls in the config, or let only a proxy that speaks TLS reach it", "keys and tokens go to %s over the network in clear", address)
	}
	if address.IsUnix() && c.SocketMode()&0o006 != 0 && len(c.Clients) == 0 {
		r.warn("listen", `set listen_mode to "0660" and a common group, or list clients`, "every user of this machine may open %s", address)
	}
}

// try listens for a moment. A socket of serve that runs, or that was killed, is
// left alone.
func try(ctx context.Context, address listen.Address, c *config.Config) error {
	if info, err := os.Lstat(address.Path()); err == nil && info.Mode().Type() == os.ModeSocket {
		conn, err := net.DialTimeout("unix", address.Path(), time.Second)
		if err != nil {
			return nil // serve removes it
		}
		return errors.Join(syscall.EADDRINUSE, conn.Close())
	}
	listener, err := address.Listen(ctx, c.SocketMode())
	if err != nil {
		return err
	}
	return listener.Close()
}
