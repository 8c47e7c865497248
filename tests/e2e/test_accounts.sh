#!/usr/bin/env bash
# test_accounts.sh: accounts of a peer's logins, in the programs that ask for them: sshd, sudo, su, python3.
# SPDX-License-Identifier: LGPL-2.1-or-later

# shellcheck source=tests/e2e/demo.sh
. tests/e2e/demo.sh

# Makes a program of C, read from standard input, in a host's /usr/local.
program() { # program HOST PATH MODE CCOPTION...
    local host=$1 path=$2 mode=$3
    shift 3
    "${CC:-cc}" -x c - -o "$LAB/program" "$@"
    on "$host" install -D -m "$mode" /dev/stdin "/usr/local/$path" <"$LAB/program"
}

demo_hosts
demo_identities
run web1 'verimesh issue web1 --endpoint 192.0.2.1:51820 --addr 10.77.1.5 --login alice --login dave'
gave 0
demo_exchange
demo_policy

step 'db1 gives the logins of clinic-a accounts, which make their homes'
conf=/etc/verimesh/verimesh.conf
run db1 "sed -i 's/^Logins = alice bob/Logins = alice carol\nAccounts = yes/' $conf
sed -i 's/^\(passwd\|group\): files/& verimesh/' /etc/nsswitch.conf
sed -i '\$a session required pam_mkhomedir.so umask=0077' /etc/pam.d/*
echo AuthorizedKeysFile /etc/ssh/authorized_keys .ssh/authorized_keys >> /etc/ssh/sshd_config
install -m 644 .ssh/id_ed25519.pub /etc/ssh/authorized_keys; kill -HUP \$(cat /run/sshd.pid)"
gave 0
passed

demo_up
ADDRESS_B=$(on web1 getent hosts db1.clinic-b.mesh.internal | sed -n '1s/ .*//p')

step 'everybody on the host sees them'
run alice@db1 'id alice@clinic-a'
gave 0 '^uid=([0-9]+)\(alice@clinic-a\) gid=([0-9]+)\(clinic-a\) groups=[0-9]+\(clinic-a\)$'
[[ $OUT =~ uid=([0-9]+).*gid=([0-9]+) ]]
uid=${BASH_REMATCH[1]} gid=${BASH_REMATCH[2]}
run db1 "id $uid; id -Gn alice@clinic-a; id -nu $uid"
gave 0 "^uid=$uid\(alice@clinic-a\)" '^clinic-a$' '^alice@clinic-a$'
run alice@db1 "getent passwd alice@clinic-a $uid; getent group clinic-a $gid; getent initgroups alice@clinic-a"
gave 0 "^alice@clinic-a:\*:$uid:$gid::/home/alice@clinic-a:/bin/bash\$" "^clinic-a:\*:$gid:\$" '^alice@clinic-a *$'
run db1 'getent passwd; getent group'
gave 0 '^root:' '^alice:' '^alice@clinic-a:' '^carol@clinic-a:' '^clinic-a:'
[ "$(grep -c @ <<<"$OUT")" -eq 2 ] || failed 'not each account once'
run db1 'getent passwd bob@clinic-a || getent passwd clinic-a || getent group alice@clinic-a'
gave 2
run db1 'getent shadow alice@clinic-a'
gave 2
passed

step 'one logs in through the tunnel, with a home of its own'
run alice@web1 'ssh -l alice@clinic-a db1.clinic-b.mesh.internal "id; pwd; umask; stat -c %U:%G:%a ."'
gave 0 "^uid=$uid\(alice@clinic-a\) gid=$gid\(clinic-a\) groups=$gid\(clinic-a\)\$" '^/home/alice@clinic-a$' \
    '^alice@clinic-a:clinic-a:700$'
logged db1 'admitted account=alice@clinic-a .* host=web1\.clinic-a'
run alice@web1 'echo kept | ssh alice@clinic-a@db1.clinic-b.mesh.internal "cat > file; cat file; ls -l file"'
gave 0 '^kept$' '^-.* alice@clinic-a clinic-a .* file$'
passed

step 'the others do not: no such login on the card, no such account, from outside the mesh'
run alice@web1 'ssh -l carol@clinic-a db1.clinic-b.mesh.internal true'
gave 255
logged db1 'refused account=carol@clinic-a .* host=web1\.clinic-a'
run alice@web1 'ssh -l dave@clinic-a db1.clinic-b.mesh.internal true'
gave 255
run alice@web1 'ssh -l alice@clinic-a 192.0.2.2 true'
gave 255
logged db1 'refused account=alice@clinic-a from=192\.0\.2\.1'
passed

step 'sudo and su become it, and it becomes itself'
run db1 'sudo -u alice@clinic-a id'
gave 0 "^uid=$uid\(alice@clinic-a\) gid=$gid\(clinic-a\) groups=$gid\(clinic-a\)\$"
run db1 "sudo -u '#$uid' -g clinic-a id -un; sudo -u alice -g '#$gid' id -Gn"
gave 0 '^alice@clinic-a$' 'clinic-a'
run db1 'su - alice@clinic-a -c "id -un; pwd; cat file"'
gave 0 '^alice@clinic-a$' '^/home/alice@clinic-a$' '^kept$'
run db1 'su - carol@clinic-a -c "pwd; stat -c %U:%G:%a ."'
gave 0 '^/home/carol@clinic-a$' '^carol@clinic-a:clinic-a:700$'
run db1 "echo '%clinic-a ALL = (bob) NOPASSWD: ALL' > /etc/sudoers.d/clinic-a
chmod 440 /etc/sudoers.d/clinic-a; su - alice@clinic-a -c 'sudo -n -u bob id -un'"
gave 0 '^bob$'
run db1 'su - alice@clinic-a -c "sudo -n -u alice id -un"'
gave 1
passed

step 'it is in a group of this host, where the administrator has put it'
run db1 'sed -i "s/^tty:x:5:/&alice@clinic-a/" /etc/group; id -Gn alice@clinic-a; su - alice@clinic-a -c "id -Gn"'
gave 0 '^clinic-a tty$'
[ "$(grep -c '^clinic-a tty$' <<<"$OUT")" -eq 2 ] || failed 'not in both'
passed

step 'files belong to it by name'
run db1 'touch /tmp/f; chown alice@clinic-a:clinic-a /tmp/f; stat -c %U:%G /tmp/f; find /tmp -user alice@clinic-a
setpriv --reuid alice@clinic-a --regid clinic-a --init-groups cat /home/alice@clinic-a/file; echo ~alice@clinic-a'
gave 0 '^alice@clinic-a:clinic-a$' '^/tmp/f$' '^kept$' '^/home/alice@clinic-a$'
passed

step 'python3 has accounts, names and addresses, and sees a new map in the midst of its life'
on db1 tee /root/ask.py >/dev/null <<END
import grp, os, pwd, socket, subprocess
name = 'db1.clinic-b.mesh.internal'
print(pwd.getpwnam('alice@clinic-a').pw_uid, pwd.getpwuid($uid).pw_name, grp.getgrgid($gid).gr_name)
print(os.getgrouplist('alice@clinic-a', $gid))
print([u.pw_name for u in pwd.getpwall() if '@' in u.pw_name], [g.gr_name for g in grp.getgrall()][-1])
print(sorted({a[4][0] for a in socket.getaddrinfo(name, 22)}), socket.gethostbyname(name))
print(socket.getnameinfo(('10.77.2.5', 22), 0)[0], socket.gethostbyaddr('10.77.2.5')[0])
maps = lambda: sum('peers.cdb' in line for line in open('/proc/self/maps'))
print('maps', maps())
def change(was, now):
    subprocess.run(['sed', '-i', f's/^Accounts = {was}/Accounts = {now}/', '$conf'], check=True)
    subprocess.run(['verimesh', 'sync'], check=True)
change('yes', 'no')
try:
    print(pwd.getpwnam('alice@clinic-a'))
except KeyError as missing:
    print('gone', missing, [g.gr_name for g in grp.getgrall() if g.gr_name == 'clinic-a'])
change('no', 'yes')
print('again', pwd.getpwnam('alice@clinic-a').pw_uid, 'maps', maps())
END
run db1 'python3 ask.py'
gave 0 "^$uid alice@clinic-a clinic-a\$" "^\[$gid, 5\]\$|^\[5, $gid\]\$" \
    "^\['alice@clinic-a', 'carol@clinic-a'\] clinic-a\$" "^\['10\.77\.2\.5', 'fd[0-9a-f:]+'\] 10\.77\.2\.5\$" \
    '^db1\.clinic-b\.mesh\.internal db1\.clinic-b\.mesh\.internal$' '^maps 1$' \
    "^gone .*name not found: 'alice@clinic-a'.* \[\]\$" "^again $uid maps 1\$"
passed

step 'a setuid program asks the true module, whatever its caller puts in its way'
program db1 evil/libnss_verimesh.so.2 755 -shared -fPIC <<'END'
#include <unistd.h>
__attribute__((constructor)) static void evil(void) { write(1, "evil\n", 5); }
END
program db1 bin/ask 755 <<'END'
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
	struct passwd *pw = getpwnam("alice@clinic-a");
	struct addrinfo *list, hints = {.ai_socktype = SOCK_STREAM};
	int status = getaddrinfo("db1.clinic-b.mesh.internal", "22", &hints, &list);
	printf("euid %u, home %s, host %s\n", geteuid(), pw ? pw->pw_dir : "none", status ? "none" : "found");
	return 0;
}
END
run alice@db1 'ask; LD_LIBRARY_PATH=/usr/local/evil ask'
gave 0 '^euid 2001, home /home/alice@clinic-a, host found$' '^evil$' '^euid 2001, home none, host none$'
run db1 'chmod 4755 /usr/local/bin/ask'
run alice@db1 'LD_LIBRARY_PATH=/usr/local/evil LD_PRELOAD=/usr/local/evil/libnss_verimesh.so.2 LOCALDOMAIN=evil \
HOSTALIASES=/usr/local/evil GETCONF_DIR=/usr/local/evil ask'
gave 0 '^euid 0, home /home/alice@clinic-a, host found$'
! grep -q '^evil$' <<<"$OUT" || failed 'the module that its caller wants was loaded'
run alice@db1 'ulimit -n 4; ask'
gave 0 '^euid 0, home /home/alice@clinic-a, host found$'
passed

step 'without a map there is no such account, and the console is as ever'
run db1 'rm /var/lib/verimesh/peers.cdb; id alice@clinic-a'
gave 1 'no such user'
run db1 'su - alice -c "id -un"; sudo -u bob id -un; getent passwd | wc -l; ls -ld /home/alice@clinic-a'
gave 0 '^alice$' '^bob$' "^drwx.* $uid +$gid .* /home/alice@clinic-a\$"
run alice@web1 "ssh -l alice@clinic-a $ADDRESS_B true"
gave 255
run db1 'verimesh sync; id -u alice@clinic-a'
gave 0 "^$uid\$"
run alice@web1 "ssh -l alice@clinic-a $ADDRESS_B cat file"
gave 0 '^kept$'
passed

step 'nor with Accounts = no; with yes it has its number again'
run db1 "sed -i 's/^Accounts = yes/Accounts = no/' $conf; verimesh sync; id alice@clinic-a"
gave 1 'no such user'
run alice@web1 "ssh -l alice@clinic-a $ADDRESS_B true"
gave 255
run db1 "sed -i 's/^Accounts = no/Accounts = yes/' $conf; verimesh sync; id -u alice@clinic-a"
gave 0 "^$uid\$"
passed

demo_down
