// logs.mjs: random key event logs, registries and cards, made with signify-ts and interleaved in one stream.
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// All that is random derives from the seed, keys too. Events, digests, keys, signatures, receipts and what
// stands around them are made by signify-ts. By hand, since it has none or a wrong one: the bodies of rct,
// iss, rev and cards (of a map, by its Saider and Serder), an abandoning rotation (its rotate() refuses an
// empty next set), witnesses' receipts (its messagize() gives them the counter of signatures) and -E groups.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
    Counter, CtrDex, Diger, Encrypter, IdrDex, Ilks, MtrDex, Protocols, Saider, Salter, Seqner, Serder,
    Siger, Tholder, TraitDex, incept, interact, messagize, rotate, serializeACDCAttachment, versify,
} from 'signify-ts';
// index.js leaves this out
import { vdr } from './node_modules/signify-ts/dist/keri/core/vdring.js';

const CARD = 'EIMwJjaS2DG8SaQXJW8ppKYDgllMoAheSTiFzVfgonZa';
const DATE = '2026-01-01T00:00:00.000000+00:00';

const bytes = (text) => new TextEncoder().encode(text);
export const digest = (text) => new Diger({}, bytes(text)).qb64;
export const commitment = (signer) => new Diger({}, signer.verfer.qb64b).qb64;
export const seal = (event) => ({ i: event.pre, s: event.sad.s, d: event.said });
const named = (event) => ({ d: event.said, i: event.pre, s: event.sad.s });
export const saidify = (sad) => new Serder(Saider.saidify({ ...sad, d: '' })[1]);
const version = (protocol) => versify(protocol, undefined, undefined, 0);
const satisfied = (sith, indices) => new Tholder({ sith }).satisfy([...indices]);

export class Dice {
    constructor(seed) {
        this.seed = seed;
        this.rolls = 0;
        this.salter = new Salter({ raw: this.bytes(16) });
    }
    bytes(n) {
        const hash = createHash('sha256').update(`${this.seed} ${this.rolls++}`);
        return new Uint8Array(hash.digest().subarray(0, n));
    }
    below(n) {
        return Buffer.from(this.bytes(4)).readUInt32BE() % n;
    }
    between(low, high) {
        return low + this.below(high - low + 1);
    }
    odds(of) {
        return this.below(of) === 0;
    }
    pick(list) {
        return list[this.below(list.length)];
    }
    some(list, n) {
        const left = [...list];
        return Array.from({ length: n }, () => left.splice(this.below(left.length), 1)[0]);
    }
    shuffle(list) {
        return this.some(list, list.length);
    }
    signer(transferable = true) {
        return this.salter.signer(MtrDex.Ed25519_Seed, transferable, `key ${this.rolls++}`, null, true);
    }
    signers(n, transferable = true) {
        return Array.from({ length: n }, () => this.signer(transferable));
    }

    // An integer, a list of weights, or lists of them.
    threshold(n) {
        if (this.odds(2)) {
            return this.between(1, n);
        }
        const clauses = [];
        for (let left = n; left > 0; ) {
            const size = this.odds(2) ? left : this.between(1, left);
            clauses.push(this.#clause(size));
            left -= size;
        }
        return clauses.length === 1 && this.odds(2) ? clauses[0] : clauses;
    }
    #clause(size) {
        const whole = this.between(1, 5);
        const parts = Array.from({ length: size }, () => this.between(0, whole));
        if (parts.reduce((a, b) => a + b) < whole) {
            parts[this.below(size)] = whole;
        }
        return parts.map((part) => (part === 0 || part === whole ? `${part / whole}` : `${part}/${whole}`));
    }
}

// ---- messages: a body and groups of what is attached: {code, parts: [{text, …}]} ----

const CODES = { A: CtrDex.ControllerIdxSigs, B: CtrDex.WitnessIdxSigs, C: CtrDex.NonTransReceiptCouples,
    E: CtrDex.FirstSeenReplayCouples, G: CtrDex.SealSourceCouples, I: CtrDex.SealSourceTriples };

export function attachments(message) {
    const flat = message.groups
        .map(({ code, parts }) => new Counter({ code: CODES[code], count: parts.length }).qb64 +
            parts.map((part) => part.text).join('')).join('');
    if (!message.framed || !flat) {
        return flat;
    }
    const { BigAttachedMaterialQuadlets: big, AttachedMaterialQuadlets: small } = CtrDex;
    return new Counter({ code: message.framed === 'big' ? big : small, count: flat.length / 4 }).qb64 + flat;
}
export const render = (message) => message.bytes ?? Buffer.from(message.event.raw + attachments(message));

export const place = (sn, said) => ({ text: new Seqner({ sn }).qb64 + said });
export const couple = (witness, event) => ({
    text: witness.verfer.qb64 + witness.sign(bytes(event.raw)).qb64, by: witness });
const indexed = (witness, event, index) => ({
    text: witness.sign(bytes(event.raw), index).qb64, by: witness });

// Signs as key `index`, of which the prior event has the digest at `ondex`, or has none; in any code.
export function sign(dice, signer, event, index, ondex) {
    const siger = signer.sign(bytes(event.raw), index, ondex === undefined, ondex);
    const big = ondex === undefined ? IdrDex.Ed25519_Big_Crt_Sig : IdrDex.Ed25519_Big_Sig;
    return dice.odds(4) ? new Siger({ raw: siger.raw, code: big, index, ondex }) : siger;
}

// Signed and witnessed by these; a group more, perhaps.
export function signed(event, signers, witnesses = [], groups = []) {
    const parts = signers.map((signer, index) => ({ text: signer.sign(bytes(event.raw), index).qb64 }));
    const receipts = witnesses.map((witness) => couple(witness, event));
    return { kind: 'kel', event, groups: [{ code: 'A', parts }, { code: 'C', parts: receipts }, ...groups]
        .filter((group) => group.parts.length) };
}

// An inception by a delegator, to be sealed by an event of his.
export function delegate(one, dice) {
    const signer = dice.signer();
    const ndigs = [commitment(dice.signer())];
    const event = incept({ keys: [signer.verfer.qb64], ndigs, delpre: one.pre });
    const source = (anchor) => ({ code: 'G', parts: anchor ? [place(anchor.sn, anchor.said)] : [] });
    return { event, by: (anchor) => signed(event, [signer], [], [source(anchor)]) };
}

// ---- an identifier and its log ----

export class Identifier {
    constructor(stream, { delegator, plain } = {}) {
        Object.assign(this, { stream, dice: stream.dice, delegator, history: [], hosts: new Map() });
        const { dice } = this;
        const basic = !delegator && !plain && dice.odds(8);
        const fixed = basic && dice.odds(2);
        this.signers = basic ? [dice.signer(!fixed)] : dice.signers(dice.between(1, 5));
        this.witnesses = fixed || dice.odds(3) ? [] : dice.some(stream.witnesses, dice.between(1, 4));
        this.bt = this.witnesses.length && dice.between(1, this.witnesses.length);
        this.traits = [TraitDex.EstOnly, TraitDex.DoNotDelegate].filter(() => !fixed && dice.odds(6));
        // incept() wants no more weights than keys
        const keys = this.signers.length;
        this.commit(fixed ? 0 : dice.between(1, dice.odds(3) ? 6 : keys), keys);
        const event = incept({
            keys: this.signers.map((signer) => signer.verfer.qb64),
            isith: dice.threshold(keys),
            ndigs: this.next.map(commitment),
            nsith: this.nt,
            wits: this.witnesses.map((witness) => witness.verfer.qb64),
            toad: this.bt,
            cnfg: this.traits,
            data: fixed ? [] : this.trifles(),
            code: basic ? undefined : MtrDex.Blake3_256,
            delpre: delegator?.pre,
            intive: dice.odds(3) && typeof this.nt === 'number',
        });
        this.pre = event.pre;
        this.add(event, this.#current());
    }

    get may() {
        return this.next.length > 0;
    }
    get sn() {
        return this.event.sn;
    }
    get delegates() {
        return this.may && !this.traits.includes(TraitDex.DoNotDelegate);
    }
    get interacts() {
        return this.may && !this.traits.includes(TraitDex.EstOnly);
    }

    // The keys of the next rotation: more than it will need, perhaps.
    commit(n, weights = n) {
        this.next = this.dice.signers(n);
        this.nt = n === 0 ? 0 : n > weights ? this.dice.between(1, weights) : this.dice.threshold(n);
    }

    // Seals that nobody needs, and other maps.
    trifles() {
        const { dice } = this;
        const said = digest(`${dice.seed} ${dice.rolls++}`);
        const kinds = [
            { d: said }, { rd: said }, { i: said }, { i: said, s: '0', d: said }, { bi: said, d: said },
            { 'größe': ['ß', { '鍵': null, n: [1, -2.5, true, {}] }], text: 'a "quote", \\ and \u0007' },
        ];
        return dice.some(kinds, dice.odds(2) ? 0 : dice.between(1, 3));
    }

    // Anchors in an interaction or a rotation.
    anchor(seals) {
        const data = this.dice.shuffle([...seals, ...this.trifles()]);
        return this.interacts && !this.dice.odds(4) ? this.interact(data) : this.rotate({ data });
    }

    interact(data = this.trifles(), attached = false) {
        const event = interact({ pre: this.pre, sn: this.sn + 1, dig: this.event.said, data });
        return this.add(event, this.#current(), attached);
    }
    #current() {
        const ondex = (index) => (this.dice.odds(4) ? undefined : index);
        return [...this.signers.keys()].map((index) => ({ index, ondex: ondex(index) }));
    }

    // A rotation to as many of the committed keys as suffice, perhaps more, among new ones.
    rotate({ data = this.trifles(), prior = this.event, abandon = false } = {}) {
        const { dice, next, nt } = this;
        const shown = minimal(dice, [...next.keys()], (ondexes) => satisfied(nt, ondexes));
        const order = dice.shuffle([...shown, ...Array(dice.between(0, Math.max(0, 5 - shown.length)))]);
        const cuts = dice.odds(2) ? [] : dice.some(this.witnesses, dice.between(0, this.witnesses.length));
        const others = this.stream.witnesses.filter((witness) => !this.witnesses.includes(witness));
        const adds = dice.odds(2) ? [] : dice.some(others, dice.between(0, Math.min(2, others.length)));
        const names = (list) => list.map((witness) => witness.verfer.qb64);
        const wits = names(this.witnesses);
        this.witnesses = [...this.witnesses.filter((witness) => !cuts.includes(witness)), ...adds];
        this.bt = this.witnesses.length && dice.between(1, this.witnesses.length);
        this.signers = order.map((ondex) => next[ondex] ?? dice.signer());
        this.commit(dice.between(1, 6));
        let event = rotate({
            pre: this.pre,
            ilk: this.delegator ? Ilks.drt : Ilks.rot,
            sn: prior.sn + 1,
            dig: prior.said,
            keys: this.signers.map((signer) => signer.verfer.qb64),
            isith: dice.threshold(order.length),
            ndigs: this.next.map(commitment),
            nsith: this.nt,
            wits,
            cuts: names(cuts),
            adds: names(adds),
            toad: this.bt,
            data,
            intive: dice.odds(2),
        });
        if (abandon) {
            this.commit(0);
            event = saidify({ ...event.sad, nt: '0', n: [] });
        }
        const pairs = order.map((ondex, index) => ({ index, ondex }));
        return this.add(event, pairs, false, (ondexes) => satisfied(nt, ondexes));
    }

    // Interactions, of which a rotation supersedes the last, with what that seals. Their receipts come with
    // them, so that all of them have been accepted by then.
    recover() {
        const prior = [this.event];
        const { card } = this.#card('lapsed');
        const lapsed = delegate(this, this.dice);
        for (let n = this.dice.between(1, 3); n > 0; n--) {
            const data = n > 1 ? this.trifles() : [{ d: card.said }, seal(lapsed.event)];
            prior.push(this.interact(data, true));
            this.message.once = true;
        }
        this.#present(card);
        this.lapsed = lapsed.by(this.event);
        const back = this.dice.between(1, prior.length - 1);
        return this.rotate({ prior: prior[prior.length - 1 - back] });
    }

    // Signs an event, has it witnessed and anchored, adds it to the log and notes the state that it makes.
    add(event, pairs, attached = false, unlocked = () => true) {
        const { dice } = this;
        this.event = event;
        if (event.sad.t !== Ilks.ixn) {
            this.est = event;
        }
        const enough = (some) => satisfied(this.est.sad.kt, some.map(({ index }) => index)) &&
            unlocked(some.map(({ ondex }) => ondex).filter((ondex) => ondex !== undefined));
        const signing = minimal(dice, pairs, enough);
        const parts = signing.map((pair) => ({
            text: sign(dice, this.signers[pair.index], event, pair.index, pair.ondex).qb64,
            needed: !enough(signing.filter((other) => other !== pair)),
        }));
        const message = { kind: 'kel', event, framed: dice.pick([false, false, true, 'big']), groups: [] };
        message.groups.push({ code: 'A', parts });
        if (message.framed !== 'big') {
            const sigers = parts.map((part) => new Siger({ qb64: part.text }));
            const made = messagize(event, sigers, undefined, undefined, undefined, message.framed);
            assert.equal(render(message).toString(), new TextDecoder().decode(made));
        }
        if (parts.length > 1 && dice.odds(4)) {
            message.groups.push({ code: 'A', parts: parts.splice(1) });
        }
        message.witnesses = this.witnesses;
        message.bt = this.bt;
        message.delegator = this.delegator?.pre;
        message.state = this.#state();
        this.history.push(message);
        this.message = message;
        const later = this.#receipts(message, attached);
        if (this.delegator && event.sad.t !== Ilks.ixn) {
            const anchor = this.delegator.anchor([seal(event)]);
            message.groups.push({ code: 'G', parts: [place(anchor.sn, anchor.said)] });
        }
        if (dice.odds(5)) {
            const date = `1AAG${DATE.replaceAll(':', 'c').replace('.', 'd').replace('+', 'p')}`;
            message.groups.push({ code: 'E', parts: [{ text: new Seqner({ sn: event.sn }).qb64 + date }] });
        }
        this.stream.add(this.pre, message);
        later.forEach((receipt) => this.stream.add(undefined, receipt));
        return event;
    }

    // As many receipts as are asked for, perhaps more: attached in both ways, or as messages of their own.
    #receipts(message, attached) {
        const { dice, witnesses, bt } = this;
        const { event } = message;
        const enough = dice.odds(3) ? dice.between(bt, witnesses.length) : bt;
        const from = dice.some([...witnesses.entries()], enough);
        const later = [];
        for (const [index, witness] of from) {
            const code = dice.pick('BC');
            const part = code === 'B' ? indexed(witness, event, index) : couple(witness, event);
            let target = message;
            if (!attached && dice.odds(2)) {
                const body = { v: version(Protocols.KERI), t: Ilks.rct, ...named(event) };
                target = { kind: 'rct', event: new Serder(body), framed: dice.odds(3), groups: [] };
                later.push(target);
            }
            const group = target.groups.find((one) => one.code === code);
            group ? group.parts.push(part) : target.groups.push({ code, parts: [part] });
        }
        return later;
    }

    #state() {
        const { sad } = this.est;
        return {
            aid: this.pre, sn: this.event.sn, said: this.event.said, kt: sad.kt, keys: sad.k, nt: sad.nt,
            next: sad.n, bt: sad.bt, witnesses: this.witnesses.map((witness) => witness.verfer.qb64),
            delegator: this.delegator?.pre ?? null, abandoned: sad.n.length === 0 && sad.s !== '0',
        };
    }

    // ---- registries and cards ----

    #vcp() {
        const nonce = new Salter({ raw: this.dice.bytes(16) }).qb64;
        return vdr.incept({ pre: this.pre, nonce, cnfg: [TraitDex.NoBackers] });
    }
    #registry() {
        if (!this.registry) {
            const vcp = this.#vcp();
            this.#tel(vcp);
            this.registry = vcp.pre;
        }
        return this.registry;
    }
    #tel(event, anchor = this.anchor([seal(event)])) {
        this.stream.add(undefined, { kind: 'tel', event, framed: this.dice.odds(2),
            groups: [{ code: 'G', parts: [place(anchor.sn, anchor.said)] }] });
    }
    #tev(sad) {
        const event = saidify({ v: version(Protocols.KERI), ...sad });
        this.#tel(event);
        return event;
    }

    // A card of a host; it counts for none until it is sealed.
    #card(label, ri) {
        const key = new Encrypter({}, this.dice.signer().verfer.qb64b);
        const logins = this.dice.odds(2) ? ['alice'] : undefined;
        const a = Saider.saidify({ d: '', dt: DATE, host: label, key: key.qb64, logins })[1];
        this.hosts.set(label, this.hosts.get(label) ?? { key: null });
        const card = saidify({ v: version(Protocols.ACDC), d: '', i: this.pre, ri, s: CARD, a });
        return { card, key: Buffer.from(key.raw).toString('base64') };
    }
    #present(card) {
        const triple = new TextDecoder().decode(
            serializeACDCAttachment({ pre: this.pre, sn: this.sn, sad: this.event.sad }));
        const source = { code: 'I', parts: [{ text: triple.slice(4) }] };
        const framed = this.dice.odds(2);
        this.stream.add(undefined, { kind: 'acdc', event: card, framed, groups: [source] });
    }

    // Issues a card, by a registry or by a seal of it alone; it may replace the one before.
    issue(label) {
        const { dice } = this;
        const ri = dice.odds(2) ? this.#registry() : undefined;
        const { card, key } = this.#card(label, ri);
        const before = this.hosts.get(label);
        let iss;
        if (ri) {
            iss = this.#tev({ t: Ilks.iss, d: '', i: card.said, s: '0', ri, dt: DATE });
        } else if (before?.key && dice.odds(2)) {
            this.anchor([{ i: before.said, s: '1', d: card.said }]);
        } else {
            this.anchor([{ d: card.said }]);
        }
        this.#present(card);
        this.hosts.set(label, { said: card.said, iss, ri, key });
    }

    // A card of a registry that has not issued it, or is not sealed itself.
    pretend() {
        if (this.dice.odds(2)) {
            const { card } = this.#card('unissued', this.#registry());
            this.anchor([{ d: card.said }]);
            this.#present(card);
        } else {
            const vcp = this.#vcp();
            const { card } = this.#card('unissued', vcp.pre);
            this.#tev({ t: Ilks.iss, d: '', i: card.said, s: '0', ri: vcp.pre, dt: DATE });
            this.#tel(vcp, this.event);
            this.#present(card);
        }
    }

    // Revokes a card, or voids one that no registry has issued.
    withdraw(label) {
        const { said, iss, ri } = this.hosts.get(label);
        if (iss) {
            this.#tev({ t: Ilks.rev, d: '', i: said, s: '1', ri, p: iss.said, dt: DATE });
        } else {
            this.anchor([{ i: said, s: '1', d: digest(said) }]);
        }
        this.hosts.set(label, { key: null });
    }
}

// What is left of a list when it is taken from at random while it is enough; not to the end, perhaps.
function minimal(dice, list, enough) {
    let left = list;
    for (const one of dice.shuffle(list)) {
        const fewer = left.filter((other) => other !== one);
        if (fewer.length && enough(fewer) && !dice.odds(4)) {
            left = fewer;
        }
    }
    return left;
}

// ---- a stream of several logs ----

export class Stream {
    constructor(seed) {
        const dice = new Dice(seed);
        Object.assign(this, { seed, dice, logs: new Map(), rest: [], identifiers: [] });
        this.witnesses = dice.signers(6, false);
        this.make(dice.between(1, 3));
        this.messages = this.#interleave();
    }

    add(log, message) {
        if (log === undefined) {
            this.rest.push(message);
        } else {
            this.logs.set(log, [...(this.logs.get(log) ?? []), message]);
        }
    }

    make(n) {
        const { dice, identifiers } = this;
        for (let i = 0; i < n; i++) {
            identifiers.push(new Identifier(this, { plain: i === 0 }));
        }
        for (let steps = dice.between(4, 14); steps > 0; steps--) {
            this.#step(dice.pick(identifiers.filter((one) => one.may)));
        }
        for (const one of identifiers.filter((other) => other.may && !other.delegates)) {
            const barred = delegate(one, dice);
            one.barred = barred.by(one.anchor([seal(barred.event)]));
        }
        // delegates first: their delegators have to anchor that
        for (const one of identifiers.filter((other) => other.may && dice.odds(6)).reverse()) {
            one.rotate({ abandon: true });
        }
    }

    #step(one) {
        const { dice, identifiers } = this;
        const label = `host${dice.below(3)}`;
        switch (dice.below(9)) {
        case 0:
            return one.interacts && one.interact();
        case 1:
            return one.rotate();
        case 2:
            return one.delegates && identifiers.length < 5 &&
                identifiers.push(new Identifier(this, { delegator: one }));
        case 3:
            return one.interacts && !one.delegator && one.recover();
        case 4:
            return one.hosts.get(label)?.key && one.withdraw(label);
        case 5:
            return dice.odds(2) && one.pretend();
        default:
            return one.issue(label);
        }
    }

    // Each log in its order, all else anywhere, some of it twice.
    #interleave() {
        const { dice } = this;
        const queues = [...this.logs.values()].map((log) => [...log]);
        const stream = [];
        while (queues.some((queue) => queue.length)) {
            stream.push(dice.pick(queues.filter((queue) => queue.length)).shift());
        }
        for (const message of this.rest) {
            stream.splice(dice.between(0, stream.length), 0, message);
        }
        for (const message of stream.filter((one) => !one.once && dice.odds(12))) {
            message.again = true;
            stream.splice(dice.between(stream.indexOf(message) + 1, stream.length), 0, message);
        }
        return stream;
    }
}

// ---- what a stream makes, by the rules ----

// A state for each identifier, in order of their first events, and the place of the first event that waits.
export function settle(messages) {
    const receipts = new Map();
    const logs = new Map();
    for (const { kind, event, groups } of messages.filter((one) => one.groups)) {
        const said = kind === 'rct' ? event.sad.d : event.said;
        const parts = groups.filter(({ code }) => 'BC'.includes(code)).flatMap((group) => group.parts);
        receipts.set(said, new Set([...(receipts.get(said) ?? []), ...parts.map((part) => part.by)]));
    }
    const events = [...new Set(messages.filter((one) => one.kind === 'kel'))];
    events.forEach(({ event }) => event.sn > 0 || logs.set(event.pre, []));
    const accepted = (one) => {
        const { event, bt, witnesses, delegator, groups } = one;
        const log = logs.get(event.pre) ?? [];
        const later = log.slice(event.sn);
        const sources = groups.filter(({ code }) => code === 'G').flatMap(({ parts }) => parts);
        const sealed = !delegator || event.sad.t === 'ixn' || sources.some(({ text }) =>
            logs.get(delegator)?.some((source) => text.endsWith(source.event.said)));
        const follows = event.sn === 0 ? !log.length : log[event.sn - 1]?.event.said === event.sad.p;
        const recovers = event.sad.t === 'rot' && later.every((old) => old.event.sad.t === 'ixn');
        const witnessed = witnesses.filter((witness) => receipts.get(event.said).has(witness)).length >= bt;
        if (!follows || !sealed || !witnessed || (later.length && !recovers)) {
            return false;
        }
        log.splice(event.sn, later.length, one);
        return true;
    };
    let left = events;
    for (let before; left.length !== before; ) {
        before = left.length;
        left = left.filter((one) => !accepted(one));
    }
    const states = [...logs.values()].filter((log) => log.length).map((log) => log.at(-1).state);
    return { states, waits: left.length ? messages.indexOf(left[0]) : undefined };
}
