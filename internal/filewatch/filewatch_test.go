package filewatch_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mintonce/mintonce/internal/filewatch"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 20 * time.Second
	// nothing is how long to wait for what must not come: a change is told
	// after a quarter of a second.
	nothing = time.Second
)

// world is a folder with a file c.yml that is watched.
type world struct {
	t   *testing.T
	dir string
	w   *filewatch.Watcher
}

func newWorld(t *testing.T) world {
	w, err := filewatch.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return world{t, t.TempDir(), w}
}

func (w world) path(name string) string { return filepath.Join(w.dir, name) }

func (w world) write(name, text string) {
	w.t.Helper()
	w.must(os.WriteFile(w.path(name), []byte(text), 0o600))
}

func (w world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w world) watch(folder string) {
	w.t.Helper()
	w.must(w.w.Watch([]filewatch.Interest{{Folder: w.path(folder), Matches: func(name string) bool { return name == "c.yml" }}}))
}

func (w world) told(what string) {
	w.t.Helper()
	select {
	case <-w.w.Changes():
	case <-time.After(patience):
		w.t.Fatalf("not told: %s", what)
	}
}

func (w world) notTold(what string) {
	w.t.Helper()
	select {
	case <-w.w.Changes():
		w.t.Errorf("told: %s", what)
	case <-time.After(nothing):
	}
}

// settled waits until there is no more news: a folder that was missing for a
// moment is looked for every two seconds.
func (w world) settled() {
	const search = 2 * time.Second
	for {
		select {
		case <-w.w.Changes():
		case <-time.After(search + nothing):
			return
		}
	}
}

func TestFileChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("c.yml", "1")
	w.watch(".")
	w.notTold("nothing")
	w.write("other", "1")
	w.must(os.Remove(w.path("other")))
	w.notTold("another file")
	w.write("c.yml", "2")
	w.told("written in place")
	w.write("c.yml~", "3")
	w.must(os.Rename(w.path("c.yml~"), w.path("c.yml")))
	w.told("renamed onto it")
	w.must(os.Rename(w.path("c.yml"), w.path("backup")))
	w.write("c.yml", "4")
	w.told("moved away and written anew, as vim does")
	for steady := false; !steady; { // a machine that stands still makes it two changes
		w.settled()
		steady = true
		for range 20 {
			began := time.Now()
			w.write("c.yml", "5")
			time.Sleep(10 * time.Millisecond)
			steady = steady && time.Since(began) < 100*time.Millisecond
		}
	}
	w.told("written in many steps")
	w.notTold("a second time")
	w.must(os.Remove(w.path("c.yml")))
	w.told("removed")
}

// A file that is written all the time is told of now and then.
func TestBusyFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch(".")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				_ = os.WriteFile(w.path("c.yml"), []byte("x"), 0o600)
			}
		}
	}()
	w.told("never quiet")
	close(stop)
	<-stopped
}

// Kubernetes mounts a ConfigMap as links through ..data, which it replaces.
func TestKubernetes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(os.Mkdir(w.path("..1"), 0o700))
	w.write("..1/c.yml", "1")
	w.must(os.Symlink("..1", w.path("..data")))
	w.must(os.Symlink("..data/c.yml", w.path("c.yml")))
	w.watch(".")
	for _, version := range []string{"..2", "..3"} {
		w.must(os.Mkdir(w.path(version), 0o700))
		w.write(version+"/c.yml", version)
		w.must(os.Symlink(version, w.path("..data_tmp")))
		w.must(os.Rename(w.path("..data_tmp"), w.path("..data")))
		w.told("swapped to " + version)
	}
}

func TestFolderReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(os.Mkdir(w.path("conf"), 0o700))
	w.write("conf/c.yml", "1")
	w.watch("conf")
	w.must(os.Mkdir(w.path("new"), 0o700))
	w.write("new/c.yml", "2")
	w.must(os.Rename(w.path("conf"), w.path("old")))
	w.must(os.Rename(w.path("new"), w.path("conf")))
	w.told("the folder was replaced")
	w.settled() // between the two renames there was none
	w.write("old/c.yml", "3")
	w.notTold("the folder of before")
	w.write("conf/c.yml", "3")
	w.told("the new folder's file")
	w.must(os.RemoveAll(w.path("conf")))
	w.told("the folder is gone")
	w.must(os.Mkdir(w.path("conf"), 0o700))
	w.told("the folder is back")
	w.write("conf/c.yml", "4")
	w.told("its file")
}

func TestFolderBehindALink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, dir := range []string{"a", "b"} {
		w.must(os.Mkdir(w.path(dir), 0o700))
		w.write(dir+"/c.yml", dir)
	}
	w.must(os.Symlink("a", w.path("conf")))
	w.watch("conf")
	w.must(os.Symlink("b", w.path("tmp")))
	w.must(os.Rename(w.path("tmp"), w.path("conf")))
	w.told("the link leads elsewhere")
	w.write("b/c.yml", "3")
	w.told("the file there")
}

func TestWatchReplacesInterests(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, dir := range []string{"a", "b"} {
		w.must(os.Mkdir(w.path(dir), 0o700))
	}
	w.watch("a")
	w.watch("b")
	w.write("a/c.yml", "1")
	w.notTold("what is watched no more")
	w.write("b/c.yml", "1")
	w.told("the other one")
	w.settled() // creating and writing a file are two steps
	w.must(w.w.Watch(nil))
	w.write("b/c.yml", "2")
	w.notTold("nothing is watched")
}
