package main

import (
	"fmt"
	"os"
	osuser "os/user"
)

// user is who runs the command, for the history. Of somebody who became root by
// sudo, it tells both.
func user() string {
	name := fmt.Sprint("uid ", os.Getuid()) // containers often know no more
	if u, err := osuser.Current(); err == nil && u.Username != "" {
		name = "user " + u.Username
	}
	if by := getenv("SUDO_USER"); by != "" && os.Getuid() == 0 {
		name += " (sudo by " + by + ")"
	}
	return name
}
