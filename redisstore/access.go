package redisstore

// needed are the commands that a process sends, by itself and in scripts.
const needed = "+@connection +eval +evalsha +time +exists +hgetall +hmget +hset +hkeys +hdel +del +get +set +getrange +pexpire +pttl +xadd +xread +xrevrange +zadd +zrem +zrangebyscore +zremrangebyscore"

// AccessRules returns what a user of Redis needs to be allowed for this store,
// in the form that ACL SETUSER takes after the user's name and password. With
// it, Inspect learns the state of the server, too.
func (s *Store) AccessRules() string {
	rules := "~" + s.prefix + ":* " + needed + " +info"
	if s.clustered() {
		rules += " +cluster +command"
	}
	return rules
}
