// Fetches a module as the agent at an Istio gateway does: fetch-image URL [SHA256].
//
// It prints the SHA-256 and the size of what the agent would hand to Envoy, or why there is nothing.
package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"time"

	"istio.io/istio/pkg/log"
	"istio.io/istio/pkg/wasm"
)

func main() {
	if len(os.Args) != 2 && len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: fetch-image URL [SHA256]")
		os.Exit(2)
	}
	for _, scope := range log.Scopes() {
		scope.SetOutputLevel(log.NoneLevel)
	}
	checksum := append(os.Args, "")[2]
	module, err := fetch(os.Args[1], checksum)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("sha256:%x %d\n", sha256.Sum256(module), len(module))
}

// The agent's cache, empty, and its call of it (wasm/convert.go).
func fetch(url, checksum string) ([]byte, error) {
	folder, err := os.MkdirTemp("", "fetch-image")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	path, err := wasm.NewLocalFileCache(folder, wasm.Options{}).Get(url, wasm.GetOptions{
		Checksum:        checksum,
		ResourceName:    "istio-system.portcullis",
		ResourceVersion: "1",
		RequestTimeout:  30 * time.Second,
	})
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}
