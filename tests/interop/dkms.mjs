// dkms.mjs: an organisation's own DKMS in small: keys and events by signify-ts, kept in files here.
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// usage: node dkms.mjs incept              makes an identifier and prints it
//        node dkms.mjs anchor < SEALS      anchors seals, one a line, in an interaction event
//        node dkms.mjs rotate [ < SEALS ]  rotates to the next key, which may anchor seals too
//
// kel.cesr is the log. dkms.json holds the seeds: a DKMS worth the name keeps them elsewhere.
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { Diger, Signer, incept, interact, messagize, ready, rotate } from 'signify-ts';

const digest = (signer) => new Diger({}, signer.verfer.qb64b).qb64;
const seals = () => readFileSync(0, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));

// Signs an event, adds it to the log and keeps what the next one needs.
function add(event, signer, next) {
    appendFileSync('kel.cesr', messagize(event, [signer.sign(new TextEncoder().encode(event.raw), 0)]));
    const state = { aid: event.pre, sn: event.sn, said: event.said, seed: signer.qb64, next: next.qb64 };
    writeFileSync('dkms.json', JSON.stringify(state), { mode: 0o600 });
}

await ready();
const verb = process.argv[2];
if (verb === 'incept') {
    const [signer, next] = [new Signer({}), new Signer({})];
    const event = incept({ keys: [signer.verfer.qb64], ndigs: [digest(next)], code: 'E' });
    writeFileSync('kel.cesr', '');
    add(event, signer, next);
    console.log(event.pre);
} else if (verb === 'anchor' || verb === 'rotate') {
    const { aid, sn, said, seed, next } = JSON.parse(readFileSync('dkms.json', 'utf8'));
    const prior = { pre: aid, sn: sn + 1, dig: said, data: seals() };
    const [signer, coming] = [new Signer({ qb64: seed }), new Signer({ qb64: next })];
    if (verb === 'anchor') {
        add(interact(prior), signer, coming);
    } else {
        const after = new Signer({});
        add(rotate({ ...prior, keys: [coming.verfer.qb64], ndigs: [digest(after)] }), coming, after);
    }
} else {
    console.error('usage: node dkms.mjs incept | anchor < SEALS | rotate < SEALS');
    process.exitCode = 2;
}
