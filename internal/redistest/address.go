package redistest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"testing"
)

// freeAddress is a loopback address that nobody listens on. Its port is none
// that the kernel gives away by itself, to connections and to those who listen
// on port 0: one of them could have it while a server is down that is to come
// back at the same address.
func freeAddress(t testing.TB) string {
	t.Helper()
	const lowest, fewest = 10_000, 1000 // below are the ports that people choose, as the README does
	least := leastEphemeral()
	for range 100 {
		port := 0 // on a machine that gives away nearly all ports
		if least >= lowest+fewest {
			port = lowest + rand.IntN(least-lowest)
		}
		listener, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
		if err != nil {
			continue // in use
		}
		defer listener.Close()
		return listener.Addr().String()
	}
	t.Fatal("there is no free port")
	return ""
}

// leastEphemeral is the first port that the kernel may give to anybody:
// https://docs.kernel.org/networking/ip-sysctl.html, ip_local_port_range.
func leastEphemeral() int {
	least := 32768 // the usual one, where there is no such file
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		fmt.Sscan(string(text), &least)
	}
	return least
}
