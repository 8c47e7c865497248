// spoil.mjs: what must not be accepted: good streams with one thing wrong at a random place.
// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Each gives null where the stream has nothing of the kind, or {messages, at, verdicts}: the stream, which
// of it is not accepted, and what that may be called. And `states`, the messages that make what is accepted;
// or only `since`, those read before: at least what these make is accepted, and nothing that is not good.
import { IdrDex, Ilks, Siger, interact, rotate } from 'signify-ts';
import {
    attachments, commitment, couple, delegate, digest, place, render, saidify, settle, signed,
} from './logs.mjs';

const bytes = (text) => new TextEncoder().encode(text);
const replace = (messages, at, ...by) => [...messages.slice(0, at), ...by, ...messages.slice(at + 1)];
const entries = (stream, kinds) =>
    [...stream.messages.entries()].filter(([, one]) => kinds.includes(one.kind));

// The message with one part of what is attached replaced, or left out.
function change(message, old, part) {
    const by = part ? [part] : [];
    const groups = message.groups
        .map((group) => ({ ...group, parts: group.parts.flatMap((one) => (one === old ? by : [one])) }))
        .filter((group) => group.parts.length);
    return { ...message, groups };
}

// One character of the signature that a text ends with, not of the first, which has bits of padding.
function damage(dice, text) {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const at = text.length - dice.between(1, 84);
    const value = alphabet.indexOf(text[at]) ^ dice.between(1, 63);
    return text.slice(0, at) + alphabet[value] + text.slice(at + 1);
}

// ---- bytes ----

function body(stream, dice) {
    const [at, message] = dice.pick(entries(stream, ['kel', 'tel', 'acdc']));
    const raw = render(message);
    raw[dice.below(bytes(message.event.raw).length)] ^= 1 << dice.below(8);
    const states = stream.messages.slice(0, at);
    const messages = replace(stream.messages, at, { bytes: raw });
    return { messages, at, verdicts: ['refused', 'truncated'], states };
}

function cut(stream, dice) {
    const [at, message] = dice.pick([...stream.messages.entries()]);
    const raw = render(message);
    const length = bytes(message.event.raw).length;
    // a stream may well end between two groups
    const groups = message.framed ? message.groups : message.groups.slice(0, 1);
    const first = attachments({ ...message, groups });
    const end = dice.odds(2) ? dice.between(1, length - 1) : length + dice.between(1, first.length - 1);
    const states = stream.messages.slice(0, at);
    return { messages: [...states, { bytes: raw.subarray(0, end) }], at, verdicts: ['truncated'], states };
}

// Two events of a log of which the second builds on the first, and what comes before them is not waited for.
function swap(stream, dice) {
    const log = dice.pick([...stream.logs.values()].filter((one) => one.length > 1).concat(undefined));
    const i = log && dice.below(log.length - 1);
    if (!log || log[i].again || log[i + 1].again || log[i].event.said !== log[i + 1].event.sad.p) {
        return null;
    }
    const [at, next] = [log[i], log[i + 1]].map((one) => stream.messages.indexOf(one));
    const since = stream.messages.slice(0, at);
    if (i > 0 && !settle(since).states.includes(log[i - 1].state)) {
        return null;
    }
    const messages = replace(replace(stream.messages, at, log[i + 1]), next, log[i]);
    return { messages, at: next, verdicts: ['refused', 'duplicitous'], since };
}

// ---- signatures ----

// A message with signatures of which none can be missed, and one of these.
function needed(stream, dice, most = 1) {
    const [at, message] = dice.pick(entries(stream, ['kel']));
    const parts = message.groups.filter(({ code }) => code === 'A').flatMap((group) => group.parts);
    const part = dice.pick(parts.filter((one) => one.needed).concat(undefined));
    return part && !message.again && parts.length >= most ? { at, message, parts, part } : null;
}
const unsigned = ({ messages }, { at, message, part }, by) => ({
    messages: replace(messages, at, change(message, part, by)), at, verdicts: ['refused', 'truncated'],
    since: messages.slice(0, at),
});

function signature(stream, dice) {
    const found = needed(stream, dice);
    return found && unsigned(stream, found, { text: damage(dice, found.part.text) });
}
function lessSignatures(stream, dice) {
    const found = needed(stream, dice);
    return found && unsigned(stream, found);
}
// Another's signature twice, in two codes.
function sameIndex(stream, dice) {
    const found = needed(stream, dice, 2);
    if (!found) {
        return null;
    }
    const { text } = dice.pick(found.parts.filter((one) => one !== found.part));
    const { raw, index, code } = new Siger({ qb64: text });
    const codes = [IdrDex.Ed25519_Crt_Sig, IdrDex.Ed25519_Big_Crt_Sig];
    const other = dice.pick(codes.filter((one) => one !== code));
    return unsigned(stream, found, { text: new Siger({ raw, code: other, index }).qb64 });
}

// ---- receipts ----

// An event with as many receipts as it needs, one of these and the message that has it.
function receipt(stream, dice, most = 1) {
    const [, event] = dice.pick(entries(stream, ['kel']));
    const carriers = [...stream.messages.entries()].filter(([, one]) => one === event ||
        (one.kind === 'rct' && one.event.sad.d === event.event.said));
    const found = carriers.flatMap(([at, message]) => message.groups
        .filter(({ code }) => 'BC'.includes(code))
        .flatMap(({ code, parts }) => parts.map((part) => ({ at, message, part, code }))));
    const one = dice.pick(found.concat(undefined));
    // what is superseded may miss some
    const fit = one && event.bt >= most && found.length === event.bt && !event.once;
    return fit && !carriers.some(([, carrier]) => carrier.again) ? { ...one, event, found } : null;
}
function unwitnessed({ messages }, { at, message, part, event }, by) {
    const carrier = change(message, part, by);
    const left = carrier.groups.length ? replace(messages, at, carrier) : replace(messages, at);
    const blamed = left.findIndex((one) => one.event === event.event);
    return { messages: left, at: blamed, verdicts: ['underwitnessed'], states: left };
}

function receiptDamaged(stream, dice) {
    const found = receipt(stream, dice);
    const text = found && damage(dice, found.part.text);
    return found && unwitnessed(stream, found, { text });
}
function lessReceipts(stream, dice) {
    const found = receipt(stream, dice);
    return found && unwitnessed(stream, found);
}
// Another's receipt twice, once of each kind where that can be.
function sameWitness(stream, dice) {
    const found = receipt(stream, dice, 2);
    if (!found) {
        return null;
    }
    const { by } = dice.pick(found.found.filter((one) => one.part !== found.part)).part;
    const twice = found.code === 'C' ? couple(by, found.event.event) : {
        text: by.sign(bytes(found.event.event.raw), found.event.witnesses.indexOf(by)).qb64, by };
    return unwitnessed(stream, found, twice);
}

// ---- anchors ----

function sourceSeal(stream, dice, part) {
    const found = entries(stream, ['kel'])
        .filter(([, one]) => one.delegator && !one.again && one.groups.some(({ code }) => code === 'G'));
    if (!found.length) {
        return null;
    }
    const [at, message] = dice.pick(found);
    const [old] = message.groups.find(({ code }) => code === 'G').parts;
    const messages = replace(stream.messages, at, change(message, old, part(message)));
    return { messages, at, verdicts: ['refused'], since: stream.messages.slice(0, at) };
}
const noSourceSeal = (stream, dice) => sourceSeal(stream, dice, () => undefined);
const otherSource = (stream, dice) => sourceSeal(stream, dice, ({ delegator }) => place(0,
    stream.identifiers.find((one) => one.pre === delegator).history[0].event.said));

// ---- one event more ----

function interaction(one, { sn = one.sn + 1, dig = one.event.said, signers = one.signers } = {}) {
    const event = interact({ pre: one.pre, sn, dig, data: [{ d: digest('more') }] });
    return signed(event, signers, one.witnesses);
}
function rotation(one, dice, { edit = {}, signers = one.next, ilk = Ilks.rot } = {}) {
    const names = (list) => list.map((signer) => signer.verfer.qb64);
    const event = rotate({
        pre: one.pre, ilk, sn: one.sn + 1, dig: one.event.said, keys: names(signers), isith: signers.length,
        ndigs: [commitment(dice.signer())], wits: names(one.witnesses), toad: one.bt,
    });
    return signed(saidify({ ...event.sad, ...edit }), signers, one.witnesses);
}
// Adds an event of an identifier that is so.
const more = (so, make, verdicts = ['refused']) => (stream, dice) => {
    const one = dice.pick(stream.identifiers.filter((other) => other.event && so(other)));
    const message = one && make(one, dice);
    return message && { messages: [...stream.messages, message], at: stream.messages.length, verdicts,
        states: stream.messages };
};
const plain = (one) => one.may && !one.delegator;

export const ways = {
    'a body with one bit changed': body,
    'an end inside a message': cut,
    'two events of a log swapped': swap,
    'a needed signature damaged': signature,
    'a needed signature left out': lessSignatures,
    'one index twice': sameIndex,
    'a needed receipt damaged': receiptDamaged,
    'a needed receipt left out': lessReceipts,
    'one witness twice': sameWitness,
    'a source seal left out': noSourceSeal,
    'a source seal of another event': otherSource,
    'a gap': more((one) => one.interacts, (one) => interaction(one, { sn: one.sn + 2 })),
    'another prior event': more((one) => one.interacts, (one) => interaction(one, { dig: digest('other') })),
    'keys of somebody else': more((one) => one.interacts,
        (one, dice) => interaction(one, { signers: dice.signers(one.signers.length) })),
    'an interaction, against EO': more((one) => one.may && !one.interacts, (one) => interaction(one)),
    'an event of what has no next keys': more((one) => !one.may, (one) => interaction(one)),
    'another interaction at the same sn': more((one) => one.event.sad.t === Ilks.ixn,
        (one) => interaction(one, { sn: one.sn, dig: one.event.sad.p }), ['duplicitous']),
    'keys that were not committed to': more(plain,
        (one, dice) => rotation(one, dice, { signers: dice.signers(one.next.length) })),
    'a delegated rotation of what is not': more(plain,
        (one, dice) => rotation(one, dice, { ilk: Ilks.drt })),
    'a plain rotation of what is delegated': more((one) => one.may && one.delegator,
        (one, dice) => rotation(one, dice)),
    'a witness cut that is none': more(plain, (one, dice) => rotation(one, dice,
        { edit: { br: [dice.signer(false).verfer.qb64] } })),
    'a witness added again': more((one) => plain(one) && one.witnesses.length,
        (one, dice) => rotation(one, dice, { edit: { ba: [one.witnesses[0].verfer.qb64] } })),
    'more receipts asked for than witnesses': more(plain, (one, dice) => rotation(one, dice,
        { edit: { bt: (one.witnesses.length + 1).toString(16) } })),
    'a delegate without a source seal': more((one) => one.may, (one, dice) => delegate(one, dice).by()),
    'a delegate of an event that does not seal it': more((one) => one.may,
        (one, dice) => delegate(one, dice).by(one.event)),
    'a delegate that a superseded event seals': more((one) => one.lapsed, (one) => one.lapsed),
    'a delegate of one who may not delegate': more((one) => one.barred, (one) => one.barred),
};

// To compare with: the same rotation with nothing wrong.
export const goodRotation = more(plain, (one, dice) => rotation(one, dice));
