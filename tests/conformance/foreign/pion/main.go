// Pion's TURN client: allocates, lets a peer echo data, and ends the allocation.
//
// pion TRANSPORT SERVER-PORT USERNAME PASSWORD PEER-PORT CA [refresh]
//
// The server and the peer are on 127.0.0.1. With "refresh" the allocation must be so short that it
// is refreshed soon.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"strings"
	"time"

	"github.com/pion/logging"
	"github.com/pion/turn/v2"
)

const (
	address  = "127.0.0.1"
	rounds   = 50
	patience = 30 * time.Second
)

// What the library says; each of its words arrives here.
type words chan string

func (said words) Write(line []byte) (int, error) {
	select {
	case said <- string(line):
	default:
	}
	return len(line), nil
}

// Waits until the library has said something.
func (said words) await(text string) {
	late := time.After(patience)
	for {
		select {
		case line := <-said:
			if strings.Contains(line, text) {
				return
			}
		case <-late:
			log.Fatalf("it does not say %q", text)
		}
	}
}

func connect(transport, server, ca string) (net.PacketConn, error) {
	switch transport {
	case "udp":
		return net.ListenPacket("udp4", address+":0")
	case "tcp":
		conn, err := net.Dial("tcp", server)
		return turn.NewSTUNConn(conn), err
	case "tls":
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, errors.New("no certificate")
		}
		conn, err := tls.Dial("tcp", server, &tls.Config{RootCAs: roots})
		return turn.NewSTUNConn(conn), err
	default:
		return nil, errors.New("no such transport")
	}
}

func echo(relayed net.PacketConn, peer net.Addr) error {
	buffer := make([]byte, 2_000)
	for number := 0; number < rounds; number++ {
		data := bytes.Repeat([]byte{byte(number)}, number+1_000)
		if _, err := relayed.WriteTo(data, peer); err != nil {
			return err
		}
		if err := relayed.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		length, from, err := relayed.ReadFrom(buffer)
		if err != nil {
			return err
		}
		if !bytes.Equal(buffer[:length], data) || from.String() != peer.String() {
			return fmt.Errorf("something else came from %v", from)
		}
	}
	fmt.Println("echoed", rounds)
	return nil
}

func run(arguments []string) error {
	transport, username, password, ca := arguments[0], arguments[2], arguments[3], arguments[5]
	server, refresh := address+":"+arguments[1], len(arguments) > 6
	peer, err := net.ResolveUDPAddr("udp4", address+":"+arguments[4])
	if err != nil {
		return err
	}
	conn, err := connect(transport, server, ca)
	if err != nil {
		return err
	}
	defer conn.Close()
	loggers, said := logging.NewDefaultLoggerFactory(), make(words, 10_000)
	loggers.Writer, loggers.DefaultLogLevel = said, logging.LogLevelDebug
	client, err := turn.NewClient(&turn.ClientConfig{
		STUNServerAddr: server,
		TURNServerAddr: server,
		Conn:           conn,
		Username:       username,
		Password:       password,
		LoggerFactory:  loggers,
	})
	if err != nil {
		return err
	}
	defer client.Close()
	if err = client.Listen(); err != nil {
		return err
	}
	mapped, err := client.SendBindingRequest()
	if err != nil {
		return err
	}
	fmt.Println("mapped", mapped)
	relayed, err := client.Allocate()
	if err != nil {
		return err
	}
	fmt.Println("relayed", relayed.LocalAddr())
	if err = echo(relayed, peer); err != nil {
		return err
	}
	said.await("channel binding successful")
	fmt.Println("bound")
	if refresh {
		said.await("updated lifetime")
		fmt.Println("refreshed")
	}
	// What comes now goes by the channel.
	if err = echo(relayed, peer); err != nil {
		return err
	}
	if err = relayed.Close(); err != nil {
		return err
	}
	fmt.Println("closed")
	return nil
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		log.Fatal(err)
	}
}
