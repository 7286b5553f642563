package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/redisstore"
)

func Example() {
	server := miniredis.NewMiniRedis() // stands for your Redis
	if err := server.Start(); err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	client, err := redisstore.Open("redis://" + server.Addr() + "/0")
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	store := redisstore.New(client, redisstore.Config{
		Warn: func(err error) { log.Print(err) },
	})

	ctx := context.Background()
	lease, err := store.Lock(ctx, "shop", "host-1", 3*time.Second)
	if err != nil {
		log.Fatal(err)
	}
	defer lease.Release(ctx)
	_, err = store.Lock(ctx, "shop", "host-2", 3*time.Second)
	fmt.Println(errors.Is(err, coordinator.ErrLocked), err)
	// Output: true mintonce: lock is held by host-1
}

// A password comes from elsewhere than the URL.
func ExampleParseURL() {
	options, err := redisstore.ParseURL("redis+sentinel://10.0.0.1:26379,10.0.0.2:26379/mymaster/2")
	if err != nil {
		log.Fatal(err)
	}
	options.Username, options.Password = "mintonce", "from a file"
	fmt.Println(options.Addrs, options.MasterName, options.DB)

	_, err = redisstore.ParseURL("redis://:pass/word@10.0.0.1/0")
	fmt.Println(err)
	// Output:
	// [10.0.0.1:26379 10.0.0.2:26379] mymaster 2
	// redisstore: store URL: the password has a character that ends it: write / as %2F within a password
}
