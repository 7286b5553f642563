module github.com/mintonce/mintonce/integration/bench

go 1.26.0

replace github.com/mintonce/mintonce => ../..

require (
	github.com/aws/aws-sdk-go-v2 v1.48.0
	github.com/bsm/redislock v0.9.4
	github.com/mintonce/mintonce v0.0.0-00010101000000-000000000000
	github.com/redis/go-redis/v9 v9.23.0
	golang.org/x/oauth2 v0.37.0
	golang.org/x/sync v0.24.0
	golang.org/x/sys v0.49.0
)

require (
	github.com/aws/smithy-go v1.28.9 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	go.uber.org/atomic v1.12.0 // indirect
)
