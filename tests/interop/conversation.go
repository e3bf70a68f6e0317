// The conversation of the Go peers: PEER client URL | PEER server. Messages and environment are those of
// conversation.py. A peer is built from this file and its own file, which defines `dial` and `upgrade`.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"math/rand"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
)

// peer is one connection of a WebSocket implementation.
type peer interface {
	// send sends one message, in fragments if there are several.
	send(text bool, fragments ...[]byte) error
	// read returns the next message; closeCode finds the close code in its error.
	read() (text bool, data []byte, err error)
	closeCode(err error) int
	// ping sends a ping and waits for its pong, while `read` waits for a message.
	ping() error
	// close sends a Close frame; the answer ends `read`.
	close(code int, reason string) error
}

type message struct {
	text bool
	data []byte
	err  error
}

// connection is a peer that is read continuously.
type connection struct {
	peer
	received chan message
}

var (
	extensions = os.Getenv("EXTENSIONS")
	sizes      = []int{0, 1, 125, 126, 65535, 65536, 1 << 20}
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func start(p peer) connection {
	c := connection{p, make(chan message, 1)}
	go func() {
		for {
			text, data, err := p.read()
			c.received <- message{text, data, err}
			if err != nil {
				return
			}
		}
	}()
	return c
}

func (c connection) expect(text bool, data []byte) {
	found := <-c.received
	check(found.err)
	if found.text != text || !bytes.Equal(found.data, data) {
		log.Fatalf("the message that came back differs: %d bytes, expected %d", len(found.data), len(data))
	}
}

func (c connection) echo(text bool, data []byte) {
	check(c.send(text, data))
	c.expect(text, data)
}

func (c connection) expectClose(found message) {
	if code := c.closeCode(found.err); code != 1000 {
		log.Fatalf("closed with code %d: %v", code, found.err)
	}
}

func jsonText(n int) []byte {
	type row struct {
		ID   int
		Name string
		Text string
	}
	var rows []row
	for i := 0; i < n; i++ {
		rows = append(rows, row{i, fmt.Sprint("user ", i), "héllo €"})
	}
	text, err := json.Marshal(rows)
	check(err)
	return text
}

func (c connection) converse() {
	c.echo(true, []byte("héllo €"))
	for _, size := range sizes {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(i * 31)
		}
		c.echo(false, data)
		c.echo(true, bytes.Repeat([]byte("x"), size))
	}
	for _, n := range []int{1, 40, 40, 300, 2} {
		c.echo(true, jsonText(n))
	}
	noise := make([]byte, 70000)
	rand.New(rand.NewSource(1)).Read(noise)
	c.echo(false, noise)
	c.echo(false, noise)
	euro := []byte("€")
	check(c.send(true, []byte("frag"), []byte("ments "), euro[:1], euro[1:]))
	c.expect(true, []byte("fragments €"))
	check(c.send(false, bytes.Repeat([]byte{0}, 1000), bytes.Repeat([]byte{1, 2}, 1000)))
	c.expect(false, append(bytes.Repeat([]byte{0}, 1000), bytes.Repeat([]byte{1, 2}, 1000)...))
	check(c.ping())
	check(c.close(1000, "done"))
	c.expectClose(<-c.received)
}

func (c connection) answer() {
	for {
		found := <-c.received
		if found.err != nil {
			c.expectClose(found)
			return
		}
		check(c.ping())
		check(c.send(true, found.data))
		check(c.send(true, found.data, []byte("!")))
		check(c.send(false, found.data))
	}
}

// listener keeps the head of the response that its connection writes.
type listener struct {
	net.Listener
	head *head
}

type head struct {
	sync.Mutex
	bytes.Buffer
}

type remembering struct {
	net.Conn
	head *head
}

func (l listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return remembering{conn, l.head}, err
}

func (r remembering) Write(data []byte) (int, error) {
	r.head.Lock()
	if !bytes.Contains(r.head.Bytes(), []byte("\r\n\r\n")) {
		r.head.Buffer.Write(data)
	}
	r.head.Unlock()
	return r.Conn.Write(data)
}

func (h *head) extensions() string {
	h.Lock()
	defer h.Unlock()
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(h.Bytes())), nil)
	check(err)
	return agreed(response.Header)
}

func agreed(header http.Header) string {
	return strings.Join(header.Values("Sec-WebSocket-Extensions"), ", ")
}

func expectExtensions(found string) {
	if found != extensions {
		log.Fatalf("the extensions are %q, expected %q", found, extensions)
	}
}

func serve() {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	written := &head{}
	done := make(chan bool)
	handler := func(w http.ResponseWriter, r *http.Request) {
		p, err := upgrade(w, r)
		if err != nil {
			// The server has answered with an error.
			log.Print(err)
			return
		}
		expectExtensions(written.extensions())
		start(p).answer()
		done <- true
	}
	fmt.Printf("listening on ws://%s/chat\n", tcp.Addr())
	go func() { check(http.Serve(listener{tcp, written}, http.HandlerFunc(handler))) }()
	<-done
}

func main() {
	if os.Args[1] == "server" {
		serve()
		return
	}
	p, header, err := dial(os.Args[2])
	check(err)
	expectExtensions(agreed(header))
	start(p).converse()
}
