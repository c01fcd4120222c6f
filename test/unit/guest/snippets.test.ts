import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type AsmError,
  asm,
  assertThat,
  delay,
  disassemble,
  done,
  enableApic,
  enterX2apic,
  eoi,
  icr,
  icr2,
  initSipiSipi,
  ipi,
  leaveX2apic,
  logicalCluster,
  logicalFlat,
  nmi,
  readApic,
  relocateApic,
  repeat,
  type Snippet,
  selfIpi,
  snippet,
  sync,
  tell,
  writeApic,
} from '../../../lib/index.ts';
import { errorOf } from '../../support/host.ts';

type Mode = 'real16' | 'flat32' | 'long64';

async function lines(mode: Mode, piece: Snippet): Promise<string[]> {
  const { bytes } = asm[mode]`${piece}`;
  return (await disassemble(bytes, { mode, origin: 0 })).map(({ text }) => text.replaceAll(', ', ','));
}

/** What `mov dword [address], value` is, without its spelling. */
async function writes(mode: Mode, piece: Snippet): Promise<[number, number][]> {
  return (await lines(mode, piece)).map((text) => {
    const match = /^mov dword \[(?:dword |a32 )?(0x[0-9a-f]+)\],(?:strict )?(?:dword )?(\S+)$/.exec(text);
    assert.ok(match, text);
    return [Number(match[1]), Number(match[2]) >>> 0];
  });
}

test('an IPI is a write of ICR2 and one of ICR, at the APIC page', async () => {
  for (const mode of ['flat32', 'long64'] as const) {
    assert.deepEqual(await writes(mode, ipi({ to: 1, vector: 0xf0 })), [
      [0xfee00310, 0x0100_0000],
      [0xfee00300, 0x40f0],
    ]);
    assert.deepEqual(await writes(mode, ipi({ to: 0xff, vector: 0x31, base: 0xfed0_0000, trigger: 'level' })), [
      [0xfed00310, 0xff00_0000],
      [0xfed00300, 0xc031],
    ]);
  }
});

test('shorthands need no destination', async () => {
  const value = async (to: 'self' | 'all' | 'others') => await writes('flat32', ipi({ to, vector: 0x40 }));
  assert.deepEqual(await value('self'), [[0xfee00300, 0x4_4040]]);
  assert.deepEqual(await value('all'), [[0xfee00300, 0x8_4040]]);
  assert.deepEqual(await value('others'), [[0xfee00300, 0xc_4040]]);
  assert.deepEqual(await writes('flat32', nmi('others')), [[0xfee00300, 0xc_4400]]);
});

test('every field of ICR and ICR2', async () => {
  assert.deepEqual(await writes('flat32', icr2(0xab)), [[0xfee00310, 0xab00_0000]]);
  const all = icr({
    vector: 0xff,
    deliveryMode: 'lowestPriority',
    destinationMode: 'logical',
    deliveryStatus: 'sendPending',
    level: 'deassert',
    trigger: 'level',
    shorthand: 'self',
    reserved: 0xfff3_2000,
  });
  assert.deepEqual(await writes('flat32', all), [[0xfee00300, 0xfff7_b9ff]]);
});

test('x2APIC mode: one WRMSR of 64 bits, in every mode', async () => {
  for (const mode of ['real16', 'flat32', 'long64'] as const)
    assert.deepEqual(await lines(mode, ipi({ to: 0x1_0002, vector: 0x55, x2apic: true })), [
      'mov ecx,0x830',
      'mov eax,0x4055',
      'mov edx,0x10002',
      'wrmsr',
    ]);
  assert.deepEqual((await lines('flat32', selfIpi(0x22))).slice(0, 2), ['mov ecx,0x83f', 'mov eax,0x22']);
});

test('INIT, SIPI, SIPI, each sent before the next', async () => {
  const text = (await lines('flat32', initSipiSipi(3, 0x1f))).join('\n');
  const writesOfIcr = [...text.matchAll(/mov dword \[0xfee00300\],(?:strict dword )?(\S+)/g)].map(([, v]) => Number(v));
  assert.deepEqual(writesOfIcr, [0x4500, 0x461f, 0x461f]);
  assert.equal([...text.matchAll(/test dword \[0xfee00300\]/g)].length, 2);
  assert.doesNotMatch((await lines('flat32', initSipiSipi(3, 0x1f, { x2apic: true }))).join('\n'), /test/);
});

test('registers of the APIC', async () => {
  assert.deepEqual(await writes('flat32', enableApic()), [[0xfee000f0, 0x1ff]]);
  assert.deepEqual(await writes('flat32', eoi()), [[0xfee000b0, 0]]);
  assert.deepEqual(await writes('flat32', logicalFlat(4)), [
    [0xfee000e0, 0xffff_ffff],
    [0xfee000d0, 0x0400_0000],
  ]);
  assert.deepEqual(await writes('flat32', logicalCluster(2, 8)), [
    [0xfee000e0, 0x0fff_ffff],
    [0xfee000d0, 0x2800_0000],
  ]);
  assert.deepEqual(await lines('flat32', readApic('ISR1', { x2apic: true })), ['mov ecx,0x811', 'rdmsr']);
  assert.deepEqual(await lines('flat32', writeApic('TPR', 0x20, { x2apic: true })), [
    'mov eax,0x20',
    'xor edx,edx',
    'mov ecx,0x808',
    'wrmsr',
  ]);
  assert.match((await lines('flat32', enterX2apic())).join('\n'), /or eax,0xc00[\s\S]*mov ecx,0x80f/);
  assert.equal((await lines('flat32', leaveX2apic())).filter((text) => text === 'wrmsr').length, 2);
  assert.match((await lines('flat32', relocateApic(0xfed0_0000))).join('\n'), /or eax,0xfed00000/);
});

test('a snippet that is used twice has two labels, and none that a program can see', () => {
  const code = asm.flat32`
    start:
      ${delay(3)}
    .local:
      ${delay(4)}
      jmp .local
  `;
  assert.deepEqual([...code.labels.keys()], ['start', 'start.local']);
});

test('snippets of snippets, and text among them', () => {
  const twice = repeat(
    2,
    snippet`
      ${sync('a')}
      ${delay(1)}
      mov eax, ${-1}`,
  );
  assert.ok(asm.flat32`${twice}`.bytes.length > 20);
  assert.ok(asm.real16`${twice}`.bytes.length > 20);
  assert.ok(asm.long64`${twice}`.bytes.length > 20);
});

test('lines keep their numbers behind a snippet', () => {
  const error = errorOf(
    () => asm.flat32`
      ${delay(3)}
      nop
      bogus eax
    `,
  ) as AsmError;
  assert.equal(error.line, 4);
  assert.match(error.excerpt, /4 \| {7}bogus eax/);
  const listing = asm.flat32`
    ${sync(1)}
    hlt`.listing();
  assert.match(listing, /^ {3}3 .*f4 +hlt$/m);
});

test('what cannot be', () => {
  const refused: [() => unknown, RegExp][] = [
    [() => asm.real16`${ipi({ to: 1, vector: 1 })}`, /Real mode cannot reach the APIC page/],
    [() => ipi({ to: 'none' as 'self', vector: 1 }), /no destination/],
    [() => ipi({ to: 256, vector: 1 }), /destination/],
    [() => ipi({ to: 1, vector: 256 }), /vector/],
    [() => relocateApic(0xfee0_0010), /begin of a page/],
    [() => logicalCluster(15, 1), /cluster/],
    [() => repeat(0, ''), /count/],
    [() => sync(0x1_0000), /name/],
    [() => assertThat('eax', '=' as '==', 1), /condition/],
    [() => writeApic('XYZ' as 'TPR', 1), /register/],
    [() => writeApic('TPR', 2 ** 32), /value/],
    [() => snippet`db ${new Uint8Array(4) as never}`, /values\[0\]/],
    [() => snippet`db ${0}, ${undefined as never}`, /values\[1\] of the snippet is undefined/],
  ];
  for (const [make, message] of refused) {
    const error = errorOf(make);
    assert.equal(error.code, 'ERR_ARGUMENT', String(message));
    assert.match(error.message, message);
  }
});

test('words are outs of eax to their ports', async () => {
  assert.deepEqual(await lines('flat32', sync(7)), ['mov eax,7', 'out 0xd0,eax']);
  assert.deepEqual((await lines('long64', done())).slice(0, 2), ['out 0xd8,eax', 'hlt']);
  assert.deepEqual((await lines('flat32', tell(3, 'ebx'))).slice(0, 2), ['mov eax,ebx', 'mov ecx,3']);
});
