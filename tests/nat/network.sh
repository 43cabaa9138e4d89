#!/usr/bin/env bash
# An internet of network namespaces, with two peers behind NATs. Needs root.
#
#   peer-a ── nat-a ── internet ── nat-b ── peer-b
#     10.1.0.2   5.1.0.2  │  5.2.0.2   10.2.0.2
#          5.0.0.1, 5.0.0.2, 2a01::1, 2a01::2: the server
#
# network.sh lay NAME KIND KIND     namespaces NAME-internet, NAME-nat-a and so on
# network.sh forget NAME a|b        that NAT loses its mappings
# network.sh switch NAME a|b        that peer loses its network, and gets another one without a NAT
# network.sh remove NAME
#
# The kinds, in the words of RFC 3489 and in ours:
#   full-cone        one mapping for all destinations; whoever knows it may send to it
#   port-restricted  one mapping for all destinations; who has been sent to may answer
#   symmetric        another mapping for every destination
#   udp-blocked      port-restricted, and nothing gets out but TCP to port 443
#   ipv6             no NAT: the peer has an IPv6 address, and nothing else
set -euo pipefail

PARTS=(internet nat-a peer-a nat-b peer-b)

in_space() { ip netns exec "$NAME-$1" "${@:2}"; }
ip_in() { ip -n "$NAME-$1" -batch -; }

forward() {
  echo 1 | in_space "$1" tee /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv6/conf/all/forwarding \
    >/dev/null
}

# An address is there when it is given. Otherwise IPv6 takes its time to find out whether somebody
# else has it, and browsers begin anew with what they do when it turns up.
settle() {
  echo 0 | in_space "$1" tee /proc/sys/net/ipv6/conf/{all,default}/accept_dad >/dev/null
}

lay() {
  for part in "${PARTS[@]}"; do
    ip netns add "$NAME-$part"
    settle "$part"
    echo "link set lo up" | ip_in "$part"
  done
  # What has no other way goes into the void, as on an internet where nobody answers.
  ip_in internet <<END
address add 5.0.0.1/32 dev lo
address add 5.0.0.2/32 dev lo
address add 2a01::1/128 dev lo
address add 2a01::2/128 dev lo
link add void type veth peer name beyond
address add 5.9.0.1/24 dev void
link set void up
link set beyond up
neighbour add 5.9.0.2 lladdr 02:00:00:00:00:01 dev void nud permanent
route add default via 5.9.0.2
END
  forward internet
  lay_side a 1 "$1"
  lay_side b 2 "$2"
}

lay_side() {
  local side=$1 n=$2 kind=$3
  ip_in internet <<END
link add to-$side type veth peer name outer netns $NAME-nat-$side
address add 5.$n.0.1/24 dev to-$side
address add 2a01:$n::1/64 dev to-$side nodad
link set to-$side up
route add 2a01:$n:1::/64 via 2a01:$n::2
END
  ip_in "nat-$side" <<END
address add 5.$n.0.2/24 dev outer
address add 2a01:$n::2/64 dev outer nodad
link set outer up
route add default via 5.$n.0.1
route add default via 2a01:$n::1
link add inner type veth peer name eth0 netns $NAME-peer-$side
address add 10.$n.0.1/24 dev inner
address add 2a01:$n:1::1/64 dev inner nodad
link set inner up
END
  forward "nat-$side"
  if [ "$kind" = ipv6 ]; then
    ip_in "peer-$side" <<END
address add 2a01:$n:1::2/64 dev eth0 nodad
link set eth0 up
route add default via 2a01:$n:1::1
END
  else
    ip_in "peer-$side" <<END
address add 10.$n.0.2/24 dev eth0
link set eth0 up
route add default via 10.$n.0.1
END
    rules "$kind" "10.$n.0.2" | in_space "nat-$side" nft -f -
  fi
}

rules() {
  case $1 in
    full-cone)
      masquerade
      echo "table ip nat {
        chain in {
          type nat hook prerouting priority dstnat;
          iifname outer meta l4proto udp dnat to $2
        }
      }" ;;
    port-restricted) masquerade; closed ;;
    symmetric) masquerade fully-random; closed ;;
    udp-blocked)
      masquerade
      closed
      echo "table ip filter {
        chain out {
          type filter hook forward priority filter;
          iifname inner tcp dport != 443 drop
          iifname inner meta l4proto != tcp drop
        }
      }" ;;
    *) echo "no such kind of NAT: $1" >&2; exit 1 ;;
  esac
}

masquerade() {
  echo "table ip nat {
    chain out {
      type nat hook postrouting priority srcnat;
      oifname outer masquerade ${1:-}
    }
  }"
}

# Drops what comes without having been asked for. It must not even be noted: a mapping would go to
# an early packet of the other side, and hole punching fail where real NATs let it succeed.
closed() {
  echo "table ip filter {
    chain in {
      type filter hook input priority filter;
      iifname outer ct state new drop
    }
  }"
}

switch() {
  local n
  [ "$1" = a ] && n=3 || n=4
  ip_in internet <<END
link add mobile-$1 type veth peer name mobile netns $NAME-peer-$1
address add 5.$n.0.1/24 dev mobile-$1
link set mobile-$1 up
END
  echo "link set eth0 down" | ip_in "peer-$1"
  # As long as a phone takes at the least.
  sleep 0.3
  ip_in "peer-$1" <<END
address add 5.$n.0.2/24 dev mobile
link set mobile up
route add default via 5.$n.0.1
END
}

remove() {
  for part in "${PARTS[@]}"; do
    [ ! -e "/run/netns/$NAME-$part" ] || ip netns delete "$NAME-$part"
  done
}

NAME=$2
case $1 in
  lay) lay "$3" "$4" ;;
  # It says how many it has deleted, and fails if there were none.
  forget) in_space "nat-$3" conntrack -D -p udp ;;
  switch) switch "$3" ;;
  remove) remove ;;
  *) echo "usage: network.sh lay|forget|switch|remove NAME …" >&2; exit 1 ;;
esac
