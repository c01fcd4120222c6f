/** What the machine's init tells the host, and how its words are known from anybody else's. */
import { randomBytes } from 'node:crypto';
import { type InitWord, initWords, marker } from '../disk/init.ts';

/** A word of init's, in its place and of its form. */
export interface Mark {
  word: InitWord;
  rest: string;
}

/** What has init's secret and is nothing that init says. */
export interface WrongMark {
  wrong: string;
}

/** What stands behind each word. */
const forms: Record<InitWord, RegExp> = {
  boot: /^.*$/,
  alive: /^\d+(?:\.\d+)?$/,
  kvm: /^(?:yes|no)$/,
  note: /^.+$/,
  no_medium: /^.*$/,
  no_line: /^\w+$/,
  idle: /^\d+ \d+ [0-9a-f]*(?: .*)?$/,
  ready: /^$/,
  // What a shell's $? can be.
  exit: /^(?:\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])$/,
  bye: /^$/,
};

/** What init may say any number of times. */
const repeated: readonly InitWord[] = ['alive', 'note', 'idle'];

/** What has to have been said before. */
const after: Partial<Record<InitWord, InitWord>> = { ready: 'boot', exit: 'ready', bye: 'exit' };

/**
 * The marks of one run. Any process in the machine can write to the kernel's log, and read it: so each word has a secret of
 * its own, which the log shows when init says the word, and not before. Whoever repeats it then says it twice.
 */
export class Marks {
  readonly #secrets: ReadonlyMap<InitWord, string>;
  readonly #said = new Set<InitWord>();

  /** @param known secrets of a machine that has booted already, and has said so */
  constructor(known?: Partial<Record<InitWord, string>>) {
    this.#secrets = new Map(initWords.map((word) => [word, known?.[word] ?? randomBytes(8).toString('hex')]));
    if (known) this.#said.add('boot');
  }

  /** Of a word. */
  secret(word: InitWord): string {
    return this.#secrets.get(word)!;
  }

  /** All of them, for one who goes on with the same init. */
  get all(): Record<InitWord, string> {
    return Object.fromEntries(this.#secrets) as Record<InitWord, string>;
  }

  /** What init reads and removes before anything else runs: a word and its secret on each line. */
  get file(): string {
    return [...this.#secrets].map(([word, secret]) => `${word} ${secret}\n`).join('');
  }

  /** What a line of the console tells, if init wrote it; `null` if it is somebody else's. */
  read(line: string): Mark | WrongMark | null {
    const text = markIn(line);
    if (text === null) return null;
    const [word = '', secret, ...more] = text.split(' ');
    if (!isInitWord(word) || this.#secrets.get(word) !== secret) return null;
    const rest = more.join(' ');
    const wrong = this.#fault(word, rest);
    if (wrong !== null) return { wrong: `${[word, ...more].join(' ')}: ${wrong}` };
    this.#said.add(word);
    return { word, rest };
  }

  #fault(word: InitWord, rest: string): string | null {
    if (!forms[word].test(rest)) return `what stands behind "${word}" is not of its form`;
    if (this.#said.has(word) && !repeated.includes(word)) return 'it has been said before';
    const earlier = after[word];
    return earlier !== undefined && !this.#said.has(earlier) ? `"${earlier}" has not been said` : null;
  }
}

/** The text behind the marker in a line of the console; `null` without one. */
export function markIn(line: string): string | null {
  const at = line.indexOf(`${marker} `);
  return at < 0 ? null : line.slice(at + marker.length + 1).trim();
}

function isInitWord(word: string): word is InitWord {
  return (initWords as readonly string[]).includes(word);
}
