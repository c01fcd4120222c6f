/** What comes from the wire is taken whole or refused by a reason; nothing in between. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  decodeMessage,
  type Envelope,
  type EnvelopeRefusal,
  encodeMessage,
  LONGEST_MESSAGE,
  type NodeItem,
} from '../../../lib/node/envelope.ts';
import { memberOf, numbered } from './members.ts';

const sender = memberOf(0);
const receiver = memberOf(1);

const data = (item: NodeItem = numbered(1)): Envelope => ({
  from: 0,
  epoch: 'e0',
  kind: 'data',
  source: 0,
  for: [{ node: 1, to: 'e1', seq: 1 }],
  item,
});
const registers = { id: 0, ldr: 1 << 24, dfr: 0xffff_ffff, svr: 0x1ff };
/** As it goes over the wire. */
const apic = { is: 'apic', version: 1, apicBase: '0xfee00900', ...registers, ns: 5 } as const;
const messages: Envelope[] = [
  { from: 0, epoch: 'e0', kind: 'ask', node: 1, nonce: 1 },
  { from: 0, epoch: 'e0', kind: 'answer', node: 1, to: 'e1', nonce: 1 },
  data(),
  data({ is: 'x2icr', data: 0xffff_ffff_0000_40f0n, ns: 5, after: [0, 1, 0, 2] }),
  data({ is: 'icr', icr2: 0, icr: 0x4940, ns: 5, taker: 3 }),
  data({ is: 'pv', icr: 0x40, type: 0, base: 0, mask: [1n, 0xffff_ffff_ffff_ffffn], ns: 5 }),
  data({ ...apic, apicBase: 0xfee0_0900n }),
  { from: 0, epoch: 'e0', kind: 'acks', node: 1, to: 'e1', acks: [{ source: 2, upTo: 7 }] },
];

/** A message with some fields replaced. */
function changed(fields: object, message: Envelope = messages[2]!): Uint8Array {
  const value = JSON.parse(Buffer.from(encodeMessage(sender, message)).toString());
  return Buffer.from(JSON.stringify({ ...value, ...fields }));
}

const refusals: readonly [name: string, bytes: Uint8Array, why: EnvelopeRefusal][] = [
  ['nothing', new Uint8Array(), 'text'],
  ['bytes that are no text', Uint8Array.of(0x7b, 0xff), 'text'],
  ['text that is no JSON', Buffer.from('{'), 'text'],
  ['a list', Buffer.from('[]'), 'malformed'],
  ['null', Buffer.from('null'), 'malformed'],
  ['too long', new Uint8Array(LONGEST_MESSAGE + 1).fill(0x20), 'size'],
  ['another version', changed({ v: 2 }), 'version'],
  ["another machine's", changed({ vm: 'other' }), 'foreign'],
  ['an unknown kind', changed({ kind: 'order' }), 'malformed'],
  ['a name that every object has for its kind', changed({ kind: 'constructor' }), 'malformed'],
  ['a field too many', changed({ more: 1 }), 'malformed'],
  ['no source', changed({ source: undefined }), 'malformed'],
  ['number 0', changed({ for: [{ node: 1, to: 'e1', seq: 0 }] }), 'malformed'],
  ['a source that no machine has', changed({ source: 64 }), 'malformed'],
  ['ICR of more than 32 bits', changed({ item: { is: 'icr', icr2: 0, icr: 2 ** 32, ns: 0 } }), 'malformed'],
  ['a number of 65 bits', changed({ item: { is: 'x2icr', data: `0x1${'0'.repeat(16)}`, ns: 0 } }), 'malformed'],
  ['an epoch with a space', changed({ epoch: 'e 0' }), 'malformed'],
  ["the receiver's own", changed({ from: 1 }), 'forged'],
  ['a node that the machine has not', changed({ from: 5 }), 'forged'],
  ["a source that is another node's", changed({ source: 2 }), 'forged'],
  ['an addressee that is none', changed({ for: [{ node: 9, to: 'e1', seq: 1 }] }), 'forged'],
  ['one that takes it who is not here', changed({ item: { ...numbered(1), taker: 1 } }), 'forged'],
  ['one that takes a local APIC', changed({ item: { ...apic, taker: 2 } }), 'malformed'],
  ["versions of another machine's vCPUs", changed({ item: { ...numbered(1), after: [1] } }), 'forged'],
  [
    "an acknowledgement of the sender's own vCPU",
    changed({ acks: [{ source: 0, upTo: 1 }] }, messages.at(-1)),
    'forged',
  ],
];

describe('the wire format', () => {
  for (const message of messages)
    test(`${message.kind}${message.kind === 'data' ? ` of ${message.item.is}` : ''} comes as it was sent`, () => {
      const taken = decodeMessage(receiver, encodeMessage(sender, message));
      assert.deepEqual(taken, { v: 1, vm: 'test', ...message });
    });

  for (const [name, bytes, why] of refusals)
    test(`${name} is refused: ${why}`, () => assert.equal(decodeMessage(receiver, bytes), why));

  test('with a key, what was not made with it is forged', () => {
    const keyed = { ...receiver, key: 'secret' };
    const bytes = encodeMessage({ ...sender, key: 'secret' }, data());
    assert.equal(typeof decodeMessage(keyed, bytes), 'object');
    assert.equal(decodeMessage(keyed, encodeMessage({ ...sender, key: 'other' }, data())), 'forged');
    assert.equal(decodeMessage(keyed, encodeMessage(sender, data())), 'forged');
    assert.equal(decodeMessage(keyed, new Uint8Array()), 'forged');
    for (let at = 0; at < bytes.length; at++) {
      const bent = Uint8Array.from(bytes);
      bent[at]! ^= 1;
      assert.equal(decodeMessage(keyed, bent), 'forged', `byte ${at}`);
    }
  });

  test('whatever comes is taken whole or refused', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 400 }),
      fc.json().map((text) => Buffer.from(text)),
      fc
        .tuple(fc.constantFrom(...messages), fc.dictionary(fc.string(), fc.jsonValue()))
        .map(([message, fields]) => changed(fields, message)),
      fc.tuple(fc.constantFrom(...messages), fc.nat(), fc.nat(255)).map(([message, at, value]) => {
        const bent = Uint8Array.from(encodeMessage(sender, message));
        bent[at % bent.length] = value;
        return bent;
      }),
    );
    fc.assert(
      fc.property(bytes, (given) => {
        const taken = decodeMessage(receiver, given);
        if (typeof taken !== 'string') assert.deepEqual(decodeMessage(receiver, encodeMessage(sender, taken)), taken);
      }),
      { numRuns: 2000 },
    );
  });
});
