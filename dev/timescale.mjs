// A real TimescaleDB (2.23-dev in PostgreSQL 17, compiled to WebAssembly), served on loopback.
//
//   node timescale.mjs [--port 0] [--data memory://] [--until-stdin-ends]
//
// Prints `ready PORT` on standard output once it answers. dev/timescale.sh installs what it imports.
//
// For tests only. There is one backend, so one client at a time: the next one waits until the one before
// has left, and finds a fresh session. Any password is taken. The role `audit` owns the database and is
// no superuser, `postgres` is one. No background workers: call policies' jobs with `run_job`. COPY FROM
// STDIN and cancelling do not work.

import { createServer } from 'node:net'
import { parseArgs } from 'node:util'
import { PGlite } from '@electric-sql/pglite'
import { timescaledb } from '@electric-sql/pglite/timescaledb'

const { values: options } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    data: { type: 'string', default: 'memory://' },
    'until-stdin-ends': { type: 'boolean', default: false },
  },
})

const SSL_REQUEST = 80877103
const GSS_REQUEST = 80877104
const PROTOCOL_3 = 196608
/** Larger than anything a test sends; a length beyond it is a broken client. */
const MESSAGE_BYTES_MAX = 256 * 1024 * 1024

/** A client sends these when it waits for an answer: Query, Sync, Flush, Function call. */
const WAITS_FOR_ANSWER = new Set(['Q', 'S', 'H', 'F'])

const CLIENT_LEFT = new Set(['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE'])

/** What a real server tells a client about itself at the start. */
const REPORTED = [
  'application_name', 'client_encoding', 'DateStyle', 'default_transaction_read_only', 'in_hot_standby',
  'integer_datetimes', 'IntervalStyle', 'is_superuser', 'server_encoding', 'server_version',
  'session_authorization', 'standard_conforming_strings', 'TimeZone',
]

const message = (type, ...parts) => {
  const head = Buffer.alloc(5)
  head.write(type, 0, 'latin1')
  const body = parts.map((part) => Buffer.from(part))
  head.writeInt32BE(4 + body.reduce((bytes, part) => bytes + part.length, 0), 1)
  return Buffer.concat([head, ...body])
}
const int32 = (number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(number)
  return bytes
}
const AUTHENTICATION_OK = message('R', int32(0))
const BACKEND_KEY = message('K', int32(1), int32(1))
const READY = message('Z', 'I')
const SYNC = message('S')
const fatal = (code, text) => message('E', `SFATAL\0VFATAL\0C${code}\0M${text}\0\0`)
const quoted = (name) => `"${name.replaceAll('"', '""')}"`

/** Cuts a socket's bytes into whole messages: a large one comes in many pieces. */
async function* messages(socket) {
  let pending = []
  let pendingBytes = 0
  let wanted = 4
  let typed = false // the first messages have no type byte
  for await (const piece of socket) {
    pending.push(piece)
    pendingBytes += piece.length
    while (pendingBytes >= wanted) {
      const bytes = pending.length === 1 ? pending[0] : Buffer.concat(pending)
      const lengthAt = typed ? 1 : 0
      const length = bytes.length >= lengthAt + 4 ? bytes.readInt32BE(lengthAt) + lengthAt : 0
      if (length < 0 || length > MESSAGE_BYTES_MAX) throw new Error(`a message of ${length} bytes`)
      pending = [bytes]
      wanted = length || lengthAt + 4
      if (!length || bytes.length < length) break
      yield bytes.subarray(0, length)
      if (!typed && bytes.readInt32BE(4) === PROTOCOL_3) typed = true
      pending = [bytes.subarray(length)]
      pendingBytes -= length
      wanted = typed ? 5 : 4
    }
  }
}

/** The key and value pairs of a startup message, with `options` (`-c name=value`) taken apart. */
function settingsOf(startup) {
  const words = startup.subarray(8).toString().split('\0')
  const settings = new Map()
  for (let i = 0; i + 1 < words.length && words[i] !== ''; i += 2) settings.set(words[i], words[i + 1])
  const flags = settings.get('options') ?? ''
  for (const [, name, value] of flags.matchAll(/(?:-c\s*|--)([\w.-]+)=((?:\\.|[^\s\\])*)/g)) {
    settings.set(name.replaceAll('-', '_'), value.replace(/\\(.)/g, '$1'))
  }
  settings.delete('options')
  return settings
}

/** Makes the one backend look as if it had just been forked for this client. */
async function freshSession(db, settings) {
  await db.execProtocolRaw(SYNC) // the client before may have left in the middle of something
  await db.exec('rollback')
  // This build's DEFAULT is no role at all, so DISCARD ALL alone does not bring the superuser back.
  await db.exec('set session authorization postgres')
  await db.exec('discard all')
  // This build starts with debugging switched on and without the usual search path.
  await db.exec('set client_min_messages = notice; set enable_seqscan = on')
  await db.exec('set search_path = "$user", public')
  const { user = 'postgres', ...rest } = Object.fromEntries(settings)
  delete rest.database
  await db.exec(`set session authorization ${quoted(user)}`)
  for (const [name, value] of Object.entries(rest)) {
    await db.query('select set_config($1, $2, false)', [name, value])
  }
  const { rows } = await db.query('select name, setting from pg_settings where name = any($1)', [REPORTED])
  return rows.map(({ name, setting }) => message('S', `${name}\0${setting}\0`))
}

async function serve(db, socket) {
  const send = (bytes) => new Promise((done) => socket.write(bytes, done))
  let pending = []
  let started = false
  for await (const bytes of messages(socket)) {
    if (!started) {
      const kind = bytes.readInt32BE(4)
      if (kind === SSL_REQUEST || kind === GSS_REQUEST) {
        await send('N')
        continue
      }
      if (kind !== PROTOCOL_3) return
      try {
        const reported = await freshSession(db, settingsOf(bytes))
        await send(Buffer.concat([AUTHENTICATION_OK, ...reported, BACKEND_KEY, READY]))
      } catch (problem) {
        await send(fatal(problem.code ?? 'XX000', problem.message))
        return
      }
      started = true
      continue
    }
    const type = String.fromCharCode(bytes[0])
    if (type === 'X') return
    pending.push(bytes)
    if (!WAITS_FOR_ANSWER.has(type)) continue
    const request = Buffer.concat(pending)
    pending = []
    const answer = await db.execProtocolRaw(new Uint8Array(request)).catch((problem) => {
      console.error(`the database crashed (COPY FROM STDIN does that): ${problem.message}`)
      process.exit(1)
    })
    await send(answer)
  }
}

async function open() {
  const db = await PGlite.create({ dataDir: options.data, extensions: { timescaledb } })
  await db.exec('create extension if not exists timescaledb')
  const { rows } = await db.query("select 1 from pg_roles where rolname = 'audit'")
  if (rows.length === 0) {
    await db.exec('create role audit login createrole; alter database template1 owner to audit')
  }
  return db
}

const db = await open()
let turn = Promise.resolve()
const server = createServer((socket) => {
  socket.setNoDelay(true)
  socket.on('error', () => {}) // the client has gone; `serve` sees its end
  turn = turn
    .then(() => serve(db, socket))
    .catch((problem) => {
      if (!CLIENT_LEFT.has(problem.code)) console.error(problem)
    })
    .finally(() => socket.destroy())
})

async function stop() {
  server.close()
  await db.close().catch(() => {})
  process.exit(0)
}
process.once('SIGINT', stop)
process.once('SIGTERM', stop)
if (options['until-stdin-ends']) process.stdin.resume().once('close', stop)

server.once('error', (problem) => {
  console.error(`cannot listen on 127.0.0.1:${options.port}: ${problem.message}`)
  process.exit(1)
})
server.listen(Number(options.port), '127.0.0.1', () => console.log(`ready ${server.address().port}`))
