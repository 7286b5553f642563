module github.com/mintonce/mintonce

go 1.26
