'use strict';
// The code that V8 has made of the library's parts, kept for the next process: reading half a megabyte of JavaScript takes
// longer than starting node. As node's own compile cache, which node 20 has not, it is a folder of the user's; without one, or
// with NODE_DISABLE_COMPILE_CACHE, nothing is kept.
const fs = require('node:fs');
const { isAbsolute, join } = require('node:path');
const { Script } = require('node:vm');

/** So many builds of the library are kept, of one that changes often. */
const MOST_BUILDS = 3;

/** Each file: the length of the part's text, 4 bytes; the text, one byte a character; V8's code. */
const HEADER = 4;

class CodeCache {
  /** @param build what the library was built of: V8 itself compares no more of a text than its length */
  constructor(build) {
    const { NODE_DISABLE_COMPILE_CACHE: off, XDG_CACHE_HOME: given, HOME: home } = process.env;
    const base = given && isAbsolute(given) ? given : home && isAbsolute(home) ? join(home, '.cache') : null;
    this.root = off || base === null ? null : join(base, 'kvm-dsm', 'code');
    this.folder = this.root && join(this.root, `${build}-${process.versions.v8}-${process.arch}`);
    this.isOurs = this.folder !== null && isOnlyOurs(this.folder);
    this.unknown = [];
  }

  /**
   * A part's script: a function expression.
   *
   * @param text gives the part's text; it is not called where that is kept
   */
  script(part, begin, text, filename) {
    const kept = this.isOurs ? this.read(part) : null;
    const own = kept ? kept.text : text();
    const options = { filename, columnOffset: -begin.length, cachedData: kept?.code };
    const script = new Script(`${begin}${own}\n})`, options);
    if (this.folder !== null && (!kept || script.cachedDataRejected)) this.later(part, own, script);
    return script;
  }

  file(part) {
    return join(this.folder, part.replaceAll('/', '.'));
  }

  read(part) {
    let bytes;
    try {
      bytes = fs.readFileSync(this.file(part));
    } catch {
      return null;
    }
    if (bytes.length <= HEADER) return null;
    const end = HEADER + bytes.readUInt32LE(0);
    return end < bytes.length ? { text: bytes.latin1Slice(HEADER, end), code: bytes.subarray(end) } : null;
  }

  /** At the end of the process: then V8 has the code of all that was called. */
  later(part, text, script) {
    if (!require('node:worker_threads').isMainThread) return;
    if (this.unknown.push({ part, text, script }) === 1) process.once('exit', () => this.keep());
  }

  keep() {
    try {
      fs.mkdirSync(this.folder, { recursive: true, mode: 0o700 });
      if (!isOnlyOurs(this.folder)) return;
      for (const { part, text, script } of this.unknown) {
        const header = Buffer.alloc(HEADER);
        header.writeUInt32LE(text.length);
        write(this.file(part), Buffer.concat([header, Buffer.from(text, 'latin1'), script.createCachedData()]));
      }
      this.removeOld();
    } catch {
      // A full disk or a folder that may not be written to: the next process reads the parts, as this one did.
    }
  }

  removeOld() {
    const builds = fs.readdirSync(this.root).map((name) => join(this.root, name));
    const byAge = builds.map((path) => ({ path, ms: fs.statSync(path).mtimeMs })).sort((a, b) => b.ms - a.ms);
    for (const { path } of byAge.slice(MOST_BUILDS)) fs.rmSync(path, { recursive: true, force: true });
  }
}

/** Whole, or not at all: V8 believes what it gets, and another process may read the file, or write it, at the same moment. */
function write(file, bytes) {
  const own = `${file}.${process.pid}`;
  const fd = fs.openSync(own, 'w', 0o600);
  try {
    fs.writeFileSync(fd, bytes);
    fs.fsyncSync(fd);
    fs.renameSync(own, file);
  } catch (error) {
    fs.rmSync(own);
    throw error;
  } finally {
    fs.closeSync(fd);
  }
}

/** A folder in which nobody else may put what this process would run. */
function isOnlyOurs(folder) {
  try {
    const { mode, uid } = fs.lstatSync(folder);
    return uid === process.geteuid() && (mode & 0o170022) === 0o040000;
  } catch {
    return false;
  }
}

module.exports = { CodeCache };
