// random.mjs: what verimesh makes of random streams by signify-ts, and of these with something wrong.
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// usage: node random.mjs VERIMESH FOLDER SEED COUNT    COUNT streams of that seed; files go into FOLDER
//
// Prints a line for each case, as tests/run reads it. VERIMESH runs as the owner of FOLDER.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { ready } from 'signify-ts';
import { Dice, Stream, render, settle } from './logs.mjs';
import { goodRotation, ways } from './spoil.mjs';

const [verimesh, folder, seed, count] = process.argv.slice(2);
const WRONG = 8; // of each stream

const ordinary = process.getuid() === 0 ? { uid: statSync(folder).uid } : {};

function run(...words) {
    const { status, stdout, stderr } = spawnSync(verimesh, words, { encoding: 'utf8', ...ordinary });
    return { status, stdout, stderr };
}
function write(name, messages) {
    writeFileSync(`${folder}/${name}`, Buffer.concat(messages.map(render)));
    return `${folder}/${name}`;
}

// ---- cases ----

let failed = 0;
function report(name, test) {
    try {
        test();
        console.log(`ok ${name}`);
    } catch (error) {
        failed++;
        console.log(`${error.message}\nnot ok ${name}`);
    }
}

const lines = (list) => list.map((one) => `${JSON.stringify(one)}\n`).join('');

function good(file, messages) {
    const stdout = lines(settle(messages).states);
    assert.deepEqual(run('verify', '--json', file), { status: 0, stdout, stderr: '' });
}

function bad(file, stream, { messages, at, verdicts, states: made, since }) {
    const { status, stdout, stderr } = run('verify', '--json', file);
    const answers = stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line));
    const verdict = answers.pop();
    assert.deepEqual([status, stderr], [1, ''], stdout);
    // the lowest that is not accepted: an earlier one, perhaps, which waits for receipts or its delegator
    const known = made && settle(made);
    assert.ok(known ? verdict.event === (known.waits ?? at) : verdict.event <= at, stdout);
    const waiting = verdict.event < at && verdicts[0] !== 'truncated' ? ['underwitnessed', 'refused'] : [];
    assert.ok([...verdicts, ...waiting].includes(verdict.verdict), stdout);
    const { kind, event } = messages[verdict.event] ?? {};
    if (kind === 'kel') {
        assert.deepEqual([verdict.aid, verdict.sn], [event.pre, event.sn]);
    }
    if (known) {
        assert.equal(lines(answers), lines(known.states), JSON.stringify(verdict));
        return;
    }
    for (const state of answers) {
        const was = stream.identifiers.flatMap((one) => one.history).map((one) => JSON.stringify(one.state));
        assert.ok(was.includes(JSON.stringify(state)), `beyond what is good: ${JSON.stringify(state)}`);
    }
    for (const least of settle(since).states) {
        const state = answers.find((one) => one.aid === least.aid);
        const { history } = stream.identifiers.find((one) => one.pre === least.aid);
        const place = (said) => history.findIndex(({ event }) => event.said === said);
        assert.ok(place(state?.said) >= place(least.said), `less than ${JSON.stringify(least)}`);
    }
}
// A host that meshes with all of them: what is wrong leaves what holds, and the cards count that should.
function imported(name, stream, file, wrong) {
    const root = `${folder}/${name}.root`;
    mkdirSync(`${root}/etc/verimesh`, { recursive: true });
    chownSync(root, statSync(folder).uid, statSync(folder).gid);
    const peers = stream.identifiers.map(({ pre }, i) => `[Peer org${i}]\nAID = ${pre}\n`);
    const policy = `[Interface]\nName = interop0\nSelf = me\nHost = here\n${peers.join('')}`;
    writeFileSync(`${root}/etc/verimesh/verimesh.conf`, policy);
    if (wrong) {
        assert.equal(run('import', wrong, '--root', root).status, 1);
    }
    for (let times = 0; times < 2; times++) {
        const { status, stderr } = run('import', file, '--root', root);
        assert.match(`${status} ${stderr}`, /^0 (verimesh: .*: card E.*: no log seals it; left out\n)*$/);
    }
    // the kernel's keyring is root's, and all that it misses
    const { status, stderr } = run('sync', '--root', root);
    assert.match(`${status} ${stderr}`, /^3 verimesh: kernel keyring: .*\n$/);
    const map = readFileSync(`${root}/var/lib/verimesh/peers.cdb`);
    for (const [i, { hosts, pre, event }] of stream.identifiers.entries()) {
        for (const [label, { key }] of hosts) {
            const answer = run('show', '--json', `${label}.org${i}`, '--root', root);
            assert.equal(answer.status, key ? 0 : 1, `${label} of ${pre}: ${answer.stderr}`);
            const shown = key && JSON.parse(answer.stdout);
            assert.deepEqual(shown && [shown.aid, shown.said, shown.key], key && [pre, event.said, key]);
            const known = map.includes(`${label}.org${i}.mesh.internal`);
            assert.equal(known, key !== null, `${label} in the map`);
        }
    }
}

await ready();
for (let n = 0; n < Number(count); n++) {
    const stream = new Stream(`${seed} ${n}`);
    const dice = new Dice(`${seed} ${n} wrong`);
    const file = write(`${n}.cesr`, stream.messages);
    report(`stream ${n}: the states`, () => {
        const ends = new Map(stream.identifiers.map((one) => [one.pre, one.history.at(-1).state]));
        assert.deepEqual(new Map(settle(stream.messages).states.map((one) => [one.aid, one])), ends);
        good(file, stream.messages);
    });
    const more = goodRotation(stream, dice);
    more && report(`stream ${n}: and a rotation more`, () => {
        assert.equal(run('verify', write(`${n}-more.cesr`, more.messages)).status, 0);
    });
    const wrong = [];
    for (const way of dice.shuffle(Object.keys(ways))) {
        const spoiled = wrong.length < WRONG && ways[way](stream, dice);
        if (spoiled) {
            wrong.push({ spoiled, file: write(`${n}-wrong${wrong.length}.cesr`, spoiled.messages) });
            report(`stream ${n}: ${way}`, () => bad(wrong.at(-1).file, stream, spoiled));
        }
    }
    // who has not seen what a rotation supersedes takes it for duplicity
    const superseded = stream.messages.filter((one) => one.once);
    const before = wrong.find(({ spoiled: { verdicts, messages } }) =>
        !verdicts.includes('duplicitous') && superseded.every((one) => messages.includes(one)));
    report(`stream ${n}: the cards`, () => imported(n, stream, file, before?.file));
}
process.exitCode = failed ? 1 : 0;
