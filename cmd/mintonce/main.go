// Command mintonce keeps provider tokens fresh for many replicas: one of them
// mints, all of them use the same token. See "mintonce --help".
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run(signals(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// signals returns a context that ends with the first signal to stop. A second
// one ends the process at once.
func signals() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-caught
		signal.Stop(caught) // before anybody can know of the first
		cancel()
	}()
	return ctx
}
