/**
 * Exits on their way from the process of a script to the one that shows them: as the addon has stored them, so that words cost
 * the guest's machine nothing. A batch is a line of text: a head, and behind it the records, deflated.
 */
import { profileByName } from '../abi/dsm/profiles.ts';
import { nameIn, namesFrom } from '../guest/protocol.ts';
import { clearTimes, RecordDecoder } from '../kvm/vcpu/run/log-record.ts';
import type { TraceEvent } from '../trace/event.ts';
import { eventsIn, type StoredEvents } from '../trace/record.ts';
import { deflated, inflated } from './frames.ts';

/** What stands before the records of a batch. */
interface BatchHead {
  /** Which of the run's machines it is of, from 0. */
  machine?: number;
  seq: number;
  born: number;
  homes?: readonly number[];
  profile: string;
  /** The names that the script has for numbers, from a place in their table on. */
  names?: { from: number; added: string[] };
}

export class StoredWriter {
  readonly #hasTimes: boolean;
  #names = 0;

  /** @param hasTimes whether anybody wants to know when each exit came: most bytes of an exit are its time */
  constructor(hasTimes: boolean) {
    this.#hasTimes = hasTimes;
  }

  /** A batch as one line. */
  write({ seq, born, homes, profile, bytes }: StoredEvents, machine = 0): string {
    const added = namesFrom(this.#names);
    const head: BatchHead = { seq, born, profile: profile.name };
    if (homes) head.homes = homes;
    if (machine > 0) head.machine = machine;
    if (added.length > 0) head.names = { from: this.#names, added };
    this.#names += added.length;
    if (!this.#hasTimes) clearTimes(bytes);
    return deflated(Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), bytes]));
  }
}

export class StoredReader {
  /** Which of the run's machines the batch is of that was read last. */
  machine = 0;
  readonly #names: string[] = [];

  /** The events of a batch; none of one that was changed on its way. */
  *read(line: string): Generator<TraceEvent> {
    const batch = inflated(line);
    const end = batch.indexOf(10);
    if (end < 0) return;
    const { seq, born, homes, profile, names, machine = 0 } = JSON.parse(batch.toString('utf8', 0, end)) as BatchHead;
    this.machine = machine;
    if (names) this.#names.splice(names.from, this.#names.length, ...names.added);
    const decoder = new RecordDecoder(profileByName(profile));
    const named = (number: number) => nameIn(this.#names, number);
    yield* eventsIn(batch.subarray(end + 1), decoder, { seq, born, homes, named });
  }
}
