// The trace file: its schema, its reader, and what is made of it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Ajv } from 'ajv';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { decodeExit } from '../../../lib/exit/decode.ts';
import { exitFromJson, exitToJson } from '../../../lib/exit/json.ts';
import { describeExit } from '../../../lib/exit/text.ts';
import { diagram } from '../../../lib/picture/diagram.ts';
import { loadTrace } from '../../../lib/picture/file/load.ts';
import { toPerfetto } from '../../../lib/picture/file/perfetto.ts';
import { readTrace, TraceFormatError } from '../../../lib/picture/file/read.ts';
import { pictureOf } from '../../../lib/picture/picture.ts';
import { pageData, toHtml } from '../../../lib/runner/trace-page.ts';
import { describeEvent } from '../../../lib/trace/text.ts';
import { root } from '../../support/command.ts';
import { preparedRuns } from '../../support/pictures.ts';
import { allPrepared, asText, head, inPieces, recordsOf, traceLines } from '../../support/trace-lines.ts';

const schema = JSON.parse(readFileSync(join(root, 'docs', 'trace.schema.json'), 'utf8'));
const validate = new Ajv({ allowUnionTypes: true }).compile(schema);

describe('the schema', () => {
  test('every line of every prepared failure is as it says', () => {
    for (const line of allPrepared())
      assert.ok(validate(JSON.parse(JSON.stringify(line))), JSON.stringify([line, validate.errors]));
  });

  test('a line that lacks a member, or has a wrong one, is not', () => {
    const lines = JSON.parse(JSON.stringify(allPrepared())) as Record<string, unknown>[];
    const exit = lines.find(({ type }) => type === 'exit')!;
    const { machine: _, ...without } = exit;
    for (const wrong of [
      without,
      { ...exit, ns: '1' },
      { ...exit, rip: 4096 },
      { type: 'other' },
      { ...lines[0]!, version: 2 },
    ])
      assert.ok(!validate(wrong), JSON.stringify(wrong));
  });
});

describe('the reader', () => {
  const text = asText(allPrepared());

  test('gives each event as it was', async () => {
    const read = (await recordsOf(text)).flatMap((record) =>
      record.type === 'event' ? [describeEvent(record.event)] : [],
    );
    const were = Object.values(preparedRuns).flatMap((prepare) => prepare().events.map(describeEvent));
    assert.deepEqual(read, were);
  });

  test('any exit that the decoder makes comes back from its JSON', () => {
    const page = fc.uint8Array({ minLength: 4096, maxLength: 4096 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 60 }), page, (reason, bytes) => {
        const view = new DataView(bytes.buffer, bytes.byteOffset);
        view.setUint32(8, reason, true);
        const exit = decodeExit(view);
        const again = exitFromJson(JSON.parse(JSON.stringify(exitToJson(exit))));
        assert.equal(describeExit(again), describeExit(exit));
        assert.deepEqual(exitToJson(again), exitToJson(exit));
      }),
      { numRuns: 300 },
    );
  });

  test('a diagram of the file is that of the failure', async () => {
    for (const prepare of Object.values(preparedRuns)) {
      const run = prepare();
      const trace = await loadTrace(readTrace(inPieces(asText(traceLines(run)))));
      assert.deepEqual(diagram(trace.machines[0]!.picture), diagram(pictureOf(run.events, run.targets)));
    }
  });

  test('a file that was cut off anywhere is read up to its last whole line, and says so', async () => {
    for (const at of [text.length - 1, text.length - 5, text.length >> 1, (text.length >> 1) + 13]) {
      const records = await recordsOf(text.slice(0, at));
      const whole = text.slice(0, at).split('\n').length - 1;
      const isLine = at === text.length - 1;
      assert.equal(records.length, isLine ? whole + 1 : whole + 1);
      assert.equal(records.at(-1)!.type, isLine ? 'end' : 'cut');
    }
  });

  test('what is no trace, another version and a wrong line are refused, with the line', async () => {
    const refused = async (lines: string, line: number, what: RegExp) => {
      await assert.rejects(recordsOf(lines), (error: unknown) => {
        assert.ok(error instanceof TraceFormatError);
        assert.equal(error.code, 'ERR_TRACE_FORMAT');
        assert.equal(error.line, line);
        assert.match(error.message, what);
        return true;
      });
    };
    await refused('', 1, /empty/);
    await refused('hello\nyou\n', 1, /no trace/);
    await refused('{"type":"exit"}\n', 1, /no trace/);
    await refused(asText([{ type: 'trace', ...head, version: 2 }]), 1, /of version 2, and this package reads 1/);
    await refused(`${asText(traceLines())}not json\n`, 4, /no line of JSON/);
    await refused(
      `${text.split('\n')[0]}\n{"type":"exit","seq":0,"ns":1,"machine":1}\n`,
      2,
      /"exit" is not as it was written/,
    );
    await refused(asText([...traceLines().slice(0, 1), { type: 'state', machine: 7, vcpus: [] }]), 2, /machine 7/);
  });
});

const protos = protobuf.parse(`
  syntax = "proto2";
  message Trace { repeated TracePacket packet = 1; }
  message TracePacket {
    optional uint64 timestamp = 8; optional uint32 trusted_packet_sequence_id = 10; optional TrackEvent track_event = 11;
    optional uint32 sequence_flags = 13; optional uint32 timestamp_clock_id = 58; optional TrackDescriptor track_descriptor = 60;
  }
  message TrackDescriptor { optional uint64 uuid = 1; optional string name = 2; optional uint64 parent_uuid = 5; }
  message DebugAnnotation { optional string string_value = 6; optional string name = 10; }
  message TrackEvent {
    repeated DebugAnnotation debug_annotations = 4; optional int32 type = 9; optional uint64 track_uuid = 11;
    repeated string categories = 22; optional string name = 23;
    repeated fixed64 flow_ids = 47 [packed = false]; repeated fixed64 terminating_flow_ids = 48 [packed = false];
  }`).root;

test('for Perfetto: by its schema, a track for each vCPU, and a flow for each interrupt that came', async () => {
  const trace = await loadTrace(readTrace(inPieces(asText(allPrepared()))));
  const decoded = protos.lookupType('Trace').decode(Buffer.concat([...toPerfetto(trace)])) as unknown as {
    packet: {
      timestamp: { toString(): string };
      trackDescriptor: { name: string; uuid: object } | null;
      trackEvent: { trackUuid: object; name: string; flowIds: object[]; terminatingFlowIds: object[] } | null;
    }[];
  };
  const tracks = decoded.packet.flatMap(({ trackDescriptor }) => trackDescriptor ?? []);
  const lanes = trace.machines.flatMap(({ picture }) => picture.lanes);
  assert.equal(tracks.length, lanes.length + trace.machines.length);
  assert.equal(new Set(tracks.map(({ uuid }) => String(uuid))).size, tracks.length);
  const events = decoded.packet.flatMap(({ trackEvent }) => trackEvent ?? []);
  const begins = events.flatMap(({ flowIds }) => flowIds.map(String));
  const ends = events.flatMap(({ terminatingFlowIds }) => terminatingFlowIds.map(String));
  const deliveries = trace.machines.flatMap(({ picture }) => picture.items.flatMap(({ ipi }) => ipi?.deliveries ?? []));
  const arrived = deliveries.filter(({ state }) => state === 'delivered' || state === 'doubled').length;
  assert.ok(arrived > 10);
  assert.equal(new Set(begins).size, arrived);
  assert.deepEqual(begins.toSorted(), ends.toSorted());
  assert.ok(events.some(({ name }) => name === 'LOST: fixed 0xf0 to id 1'));
  const known = new Set(tracks.map(({ uuid }) => String(uuid)));
  for (const { trackUuid } of events) assert.ok(known.has(String(trackUuid)));
});

describe('the page', () => {
  test('is one file that asks nothing of anybody, and holds whatever a guest has written', async () => {
    const lines = traceLines(preparedRuns.lost!());
    const hostile = {
      ...JSON.parse(JSON.stringify(lines[2])),
      word: { kind: 'sync', name: '</script><script>alert(1)//' },
    };
    const trace = await loadTrace(readTrace(inPieces(asText([...lines.slice(0, 2), hostile, ...lines.slice(3)]))));
    const page = [...toHtml(trace)].join('');
    assert.match(page, /default-src 'none'/);
    assert.doesNotMatch(page, /<(?:link|img|iframe)\b|src=|@import|<\/script><script>alert/);
    const json = /<script id="data" type="application\/json">(.*?)<\/script>/s.exec(page)![1]!;
    assert.deepEqual(JSON.parse(json), JSON.parse(JSON.stringify(pageData(trace))));
    assert.ok(page.length - json.length < 1_500_000, `${page.length - json.length} bytes without data`);
  });

  test('has each event, and each arrow with what became of it', async () => {
    const trace = await loadTrace(readTrace(inPieces(asText(allPrepared()))));
    const data = pageData(trace) as { items: { ns: number[] }; arrows: { state: number[] }; states: string[] };
    const events = trace.machines.reduce((sum, { picture }) => sum + picture.items.length, 0);
    assert.equal(data.items.ns.length, events);
    assert.deepEqual(
      data.items.ns,
      data.items.ns.toSorted((a, b) => a - b),
    );
    const lost = data.arrows.state.filter((state) => data.states[state] === 'lost').length;
    const expected = trace.machines.flatMap(({ picture }) =>
      picture.items.flatMap(({ ipi }) => ipi?.deliveries.filter(({ state }) => state === 'lost') ?? []),
    );
    assert.ok(lost >= 9);
    assert.equal(lost, expected.length);
  });
});
