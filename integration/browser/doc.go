// Package browser tests the dashboard in a real browser, headless Chromium, in
// front of real processes: that it shows what happens, that what it offers
// works, that it keeps what it must not show, and that everybody can use it.
//
// It is a module of its own, so that the browser's driver is in nobody's way.
// The tests are skipped where there is no Chromium, and fail there if the
// variable MINTONCE_REQUIRE_CHROMIUM is 1.
//
//	go test .            # everything
//	go test . -update    # also writes docs/dashboard/*.png
package browser
