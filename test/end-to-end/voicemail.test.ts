import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { readWav } from '../../src/audio/wav.ts';
import type { CallId } from '../../src/ids.ts';
import type { G711Law } from '../../src/rtp/payload-map.ts';
import { encodeG711Wav } from '../../src/sample/g711-wav.ts';
import { loadEvents } from '../../src/store/load-events.ts';
import { loadTranscript } from '../../src/store/load-transcript.ts';
import type { StoredEvent } from '../../src/store/stored.ts';
import type { VoicemailBegan, VoicemailEnded } from '../../src/voicemail/record.ts';
import { BUILT_IN_BEEP, BUILT_IN_GREETING, CLOSING_TONE } from '../../src/voicemail/tones.ts';
import { makeCodes } from '../support/captioned-audio.ts';
import { MailServer } from '../support/mail-server.ts';
import { captionsOf, samplesOf } from '../support/played-call.ts';
import { mLines, type ScriptedDialog, type Signalling, startSignalling } from '../support/signalling.ts';
import {
  headerOf,
  invite,
  newCall,
  request,
  type RequestOptions,
  respond,
  udpPeer,
} from '../support/sip-peer.ts';
import { VoicemailCaller } from '../support/voicemail-caller.ts';

const RULES = `
rules:
  - name: anna
    when: { headers: { X-Mailbox: anna } }
    set:
      tenant: acme
      mode: voicemail
      voicemail: { mailbox: anna, greeting: greeting.wav, mail_to: [anna@example.com] }
  - name: lamp
    when: { headers: { X-Mailbox: lamp } }
    set: { tenant: acme, mode: voicemail, voicemail: { mailbox: lamp, mail_to: [lamp@example.com] } }
  - name: hasty
    when: { headers: { X-Mailbox: hasty } }
    set: { tenant: acme, mode: voicemail, voicemail: { max_seconds: 2, silence_seconds: 1 } }
  - name: chatty
    when: { headers: { X-Mailbox: chatty } }
    set: { tenant: acme, mode: voicemail, voicemail: { max_seconds: 5, silence_seconds: 4 } }
  - name: keyless
    when: { headers: { X-Mailbox: keyless } }
    set: { tenant: acme, mode: voicemail, voicemail: { finish_key: none } }
`;

const GREETING = 'You have reached Anna.';
const [GREETED, SAID] = ['在录音之前', '请给我回电话。'];
const greeting = makeCodes('PCMA', 1_500, [{ beginMs: 100, endMs: 1_400, text: GREETING }]);
/** A sentence and the silence that ends it. */
const saying = (law: G711Law, text: string): Uint8Array =>
  makeCodes(law, 1_600, [{ beginMs: 100, endMs: 1_500, text }]);

let directory: string;
let line: Signalling;
let mails: MailServer;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'callscribe-voicemail-'));
  await writeFile(join(directory, 'routes.yaml'), RULES);
  await writeFile(join(directory, 'greeting.wav'), encodeG711Wav('PCMA', greeting));
  mails = await MailServer.start();
  line = await startSignalling({
    ROUTES_FILE: join(directory, 'routes.yaml'),
    SIP_JOIN_HEADERS: 'X-Ucid',
    SMTP_URL: mails.url,
    MAIL_FROM: 'callscribe@example.com',
  });
}, 60_000);

afterAll(async () => {
  await line[Symbol.asyncDispose]();
  await mails.down();
  await rm(directory, { recursive: true });
}, 60_000);

/** A caller of a mailbox, and what becomes of the call. */
class Message implements AsyncDisposable {
  readonly caller: VoicemailCaller;
  readonly dialog: ScriptedDialog;
  readonly id: CallId;
  readonly #line: Signalling;

  private constructor(caller: VoicemailCaller, dialog: ScriptedDialog, id: CallId, at: Signalling) {
    this.caller = caller;
    this.dialog = dialog;
    this.id = id;
    this.#line = at;
  }

  static async open(
    mailbox: string,
    { law = 'PCMA', at = line, ...options }: RequestOptions & { law?: G711Law; at?: Signalling } = {},
  ): Promise<Message> {
    const caller = await VoicemailCaller.open(law);
    const headers = [`X-Mailbox: ${mailbox}`, ...(options.headers ?? [])];
    const dialog = await at.answered({ body: caller.offer(), ...options, headers });
    caller.answered(dialog.ok);
    const sql = 'select id from calls where sip_call_id = $1';
    const { id } = await at.row<{ id: CallId }>(sql, [dialog.call.callId]);
    return new Message(caller, dialog, id, at);
  }

  beep(): Promise<number> {
    return this.caller.untilHeard(BUILT_IN_BEEP[this.caller.law]);
  }

  async hangUp(): Promise<void> {
    await this.#line.hangUp(this.dialog);
    this.caller.hush();
  }

  /** Our BYE. */
  async bye(): Promise<string> {
    const bye = await this.#line.peer.next(new RegExp(`^BYE [^]*Call-ID: ${this.dialog.call.callId}`));
    this.#line.peer.send(respond(bye, '200 OK'));
    this.caller.hush();
    return bye;
  }

  /** With all its sentences and its recording. */
  async complete(): Promise<readonly StoredEvent[]> {
    await this.#line.row("select 1 from calls where id = $1 and state = 'complete'", [this.id]);
    for (const kind of ['recorded', 'voicemail_%ed']) {
      await this.#line.row('select 1 from call_events where call_id = $1 and kind like $2', [this.id, kind]);
    }
    return loadEvents(this.#line.test.pool, this.id);
  }

  async endReason(): Promise<string> {
    const sql = 'select end_reason from calls where id = $1';
    return (await this.#line.row<{ end_reason: string }>(sql, [this.id])).end_reason;
  }

  /** The message's; there when all of it is. */
  row(): Promise<Record<string, unknown>> {
    return this.#line.row('select * from voicemails where call_id = $1', [this.id]);
  }

  async texts(): Promise<readonly string[]> {
    return (await loadTranscript(this.#line.test.pool, this.id)).map(({ text }) => text);
  }

  /** What is kept of the caller. */
  async kept(): Promise<Int16Array> {
    const month = join(this.#line.test.dataDir, 'recordings', new Date().toISOString().slice(0, 7));
    const wav = readWav(await readFile(join(month, `${this.id}.wav`)));
    if (wav.kind !== 'wav') throw new Error(wav.kind);
    const { channels, data } = wav.audio;
    return samplesOf(Buffer.from(data)).filter((_, index) => index % channels === 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.caller[Symbol.asyncDispose]();
  }
}

const detailOf = (events: readonly StoredEvent[], kind: string): unknown =>
  events.find((event) => event.kind === kind)?.detail;
const beganOf = (events: readonly StoredEvent[]): VoicemailBegan =>
  detailOf(events, 'voicemail_began') as VoicemailBegan;
const endedOf = (events: readonly StoredEvent[]): VoicemailEnded =>
  detailOf(events, 'voicemail_ended') as VoicemailEnded;
const metrics = async (): Promise<string> => (await fetch(`${line.test.service.httpUrl}/metrics`)).text();

describe('a caller leaves a message', { timeout: 60_000 }, () => {
  it('hears greeting and beep bit for bit on one steady stream; of what is said before the beep nothing is kept', async () => {
    await using message = await Message.open('anna');
    expect(message.dialog.ok).toMatch(/^a=sendrecv\r$/m);
    await message.caller.say(saying('PCMA', GREETED).subarray(0, 8 * 1_200));
    const beepAt = await message.beep();
    await message.caller.say(saying('PCMA', SAID));
    expect(await metrics()).toContain('callscribe_voicemails_in_progress 1');
    await message.hangUp();
    const greetingAt = message.caller.heard.indexOf(greeting);
    expect(greetingAt).toBeGreaterThanOrEqual(0);
    expect(beepAt).toBe(greetingAt + greeting.length);
    expect(message.caller.ssrcs.size).toBe(1);

    const events = await message.complete();
    const [began, ended] = [beganOf(events), endedOf(events)];
    expect(began).toMatchObject({ mailbox: 'anna', mailTo: ['anna@example.com'] });
    expect(ended).toMatchObject({ reason: 'hangup', content: 'message' });
    expect(ended.endMs - began.beginMs).toBeGreaterThanOrEqual(1_500);
    expect(await message.endReason()).toBe('bye');
    const [sentence, ...more] = await loadTranscript(line.test.pool, message.id);
    expect(more).toEqual([]);
    expect(sentence?.text).toBe(SAID);
    expect(sentence?.beginMs).toBeGreaterThanOrEqual(began.beginMs);
    expect(sentence?.endMs).toBeLessThanOrEqual(ended.endMs);
    const kept = await message.kept();
    expect(kept.subarray(0, began.beginMs * 8).every((sample) => sample === 0)).toBe(true);
    expect(captionsOf(kept)).toEqual([SAID]);
    expect(await message.row()).toMatchObject({
      tenant: 'acme',
      mailbox: 'anna',
      begin_ms: began.beginMs,
      end_ms: ended.endMs,
      end_reason: 'hangup',
      content: 'message',
      text: SAID,
      state: 'new',
    });
    const sound = await fetch(`${line.test.service.httpUrl}/v1/voicemails/${message.id}/recording`);
    const wav = readWav(Buffer.from(await sound.arrayBuffer()));
    if (wav.kind !== 'wav') throw new Error(wav.kind);
    expect(wav.audio.channels).toBe(1);
    expect(captionsOf(samplesOf(wav.audio.data))).toEqual([SAID]);
    expect(await metrics()).toMatch(/callscribe_voicemails_total{end="hangup"} 1/);
    expect(await metrics()).toContain('callscribe_voicemails_in_progress 0');
  });

  it('ends it with #: closing tone, BYE, and the key is no part of it', async () => {
    await using message = await Message.open('anna', { law: 'PCMU' });
    await message.beep();
    await message.caller.say(saying('PCMU', SAID));
    await message.caller.press('#');
    const closing = message.caller.untilHeard(CLOSING_TONE.PCMU);
    const bye = await message.bye();
    await closing;
    expect(headerOf(bye, 'Reason')).toBeDefined();
    const events = await message.complete();
    const [began, ended] = [beganOf(events), endedOf(events)];
    expect(ended).toMatchObject({ reason: 'key', content: 'message' });
    await line.row("select 1 from call_events where call_id = $1 and kind = 'dtmf'", [message.id]);
    const key = detailOf(await loadEvents(line.test.pool, message.id), 'dtmf') as { beginMs: number };
    expect(ended.endMs).toBe(Math.round(key.beginMs));
    expect(ended.endMs - began.beginMs).toBeGreaterThanOrEqual(1_600);
    expect(await message.endReason()).toBe('voicemail');
    expect(await message.texts()).toEqual([SAID]);
  });

  it('is silent: the message ends by itself, with a tone', async () => {
    await using message = await Message.open('hasty');
    await message.caller.untilHeard(BUILT_IN_GREETING.PCMA);
    await message.beep();
    await message.caller.say(makeCodes('PCMA', 500, [{ beginMs: 0, endMs: 450, text: undefined }]));
    await message.caller.untilHeard(CLOSING_TONE.PCMA);
    await message.bye();
    const events = await message.complete();
    expect(endedOf(events)).toMatchObject({ reason: 'silence', content: 'short' });
    // The rule names none.
    expect(beganOf(events).mailbox).toBe('uas');
  });

  it('says nothing at all: empty, and kept as such', async () => {
    await using message = await Message.open('hasty');
    await message.bye();
    expect(endedOf(await message.complete())).toMatchObject({ reason: 'silence', content: 'empty' });
    expect(await message.row()).toMatchObject({ end_reason: 'silence', content: 'empty', text: '' });
    expect(await message.texts()).toEqual([]);
  });

  it('does not stop: the message ends at its limit', async () => {
    await using message = await Message.open('chatty');
    await message.beep();
    void message.caller.say(makeCodes('PCMA', 8_000, [{ beginMs: 0, endMs: 8_000, text: undefined }]));
    await message.caller.untilHeard(CLOSING_TONE.PCMA);
    await message.bye();
    const events = await message.complete();
    const { endMs, ...ended } = endedOf(events);
    expect(ended).toEqual({ reason: 'limit', content: 'message' });
    expect(endMs - beganOf(events).beginMs).toBeLessThanOrEqual(5_000);
    // What is said after the end is not kept.
    const kept = await message.kept();
    expect(kept.subarray((endMs + 400) * 8).every((sample) => sample === 0)).toBe(true);
  });

  it('goes on to the beep with a key, and # is a sign like others where no key ends a message', async () => {
    await using message = await Message.open('keyless');
    await message.caller.press('*');
    await message.beep();
    expect(message.caller.heard.indexOf(BUILT_IN_GREETING.PCMA)).toBe(-1);
    await message.caller.press('#');
    await message.caller.say(saying('PCMA', SAID));
    await message.hangUp();
    expect(endedOf(await message.complete())).toMatchObject({ reason: 'hangup', content: 'message' });
    expect(await message.texts()).toEqual([SAID]);
  });

  it('hangs up before the beep: no message, and nothing of what was said is kept', async () => {
    await using message = await Message.open('anna');
    await message.caller.say(saying('PCMA', GREETED).subarray(0, 8 * 600));
    await message.hangUp();
    const events = await message.complete();
    expect(detailOf(events, 'voicemail_abandoned')).toEqual({ mailbox: 'anna' });
    expect(detailOf(events, 'voicemail_began')).toBeUndefined();
    expect((await message.kept()).every((sample) => sample === 0)).toBe(true);
  });

  it('sends no offer: greeted when its answer has come', async () => {
    const caller = await VoicemailCaller.open('PCMU');
    await using _ = caller;
    const dialog = await line.answered({
      body: '',
      headers: ['X-Mailbox: anna'],
      ack: { body: caller.offer() },
    });
    expect(dialog.ok).toMatch(/^a=sendrecv\r$/m);
    caller.answered(dialog.ok);
    await caller.untilHeard(BUILT_IN_BEEP.PCMU);
    await line.hangUp(dialog);
  });

  it('holds the line: no silence, and the message goes on afterwards', async () => {
    await using message = await Message.open('hasty');
    await message.beep();
    await message.caller.say(makeCodes('PCMA', 400, [{ beginMs: 0, endMs: 400, text: undefined }]));
    const held = await line.ask(message.dialog, 'INVITE', 2, { body: message.caller.offer('a=sendonly') });
    expect(held).toMatch(/^a=recvonly\r$/m);
    await line.ask(message.dialog, 'INVITE', 3, { body: message.caller.offer('a=inactive') });
    await delay(1_200);
    await line.ask(message.dialog, 'INVITE', 4, { body: message.caller.offer() });
    await message.caller.untilHeard(CLOSING_TONE.PCMA);
    await message.bye();
    expect(endedOf(await message.complete()).reason).toBe('limit');
  });

  it('is asked to say a card number: a pause is no silence, and nothing of it is kept', async () => {
    await using message = await Message.open('hasty');
    await message.beep();
    const pause = (what: string): Promise<Response> =>
      fetch(`${line.test.service.httpUrl}/v1/calls/${message.id}/${what}`, { method: 'POST' });
    expect((await pause('pause')).status).toBe(200);
    void message.caller.say(makeCodes('PCMA', 5_000, [{ beginMs: 0, endMs: 5_000, text: GREETED }]));
    await message.caller.press('#');
    await message.bye();
    const events = await message.complete();
    expect(endedOf(events)).toMatchObject({ reason: 'limit', content: 'empty' });
    expect(captionsOf(await message.kept())).toEqual([]);
  });
});

it(
  'a message lights the lamp, is mailed, and the lamp goes out when it was heard',
  { timeout: 60_000 },
  async () => {
    const [host = '', port] = line.test.target('udp').replace('sip:', '').split(':');
    await using phone = await udpPeer({ host, port: Number(port) });
    const headers = ['Event: message-summary', 'Expires: 600'];
    const subscribe = request(phone, 'SUBSCRIBE', newCall(), { headers }).toString();
    phone.send(subscribe.replace('SUBSCRIBE sip:uas@', 'SUBSCRIBE sip:lamp@'));
    const lamp = async (newAndHeard: string): Promise<void> => {
      const notify = await phone.next(new RegExp(`^NOTIFY [^]*Voice-Message: ${newAndHeard} `));
      phone.send(respond(notify, '200 OK'));
    };
    await lamp('0/0');

    await using message = await Message.open('lamp');
    await message.beep();
    await message.caller.say(saying('PCMA', SAID));
    await message.hangUp();
    await lamp('1/0');
    const { mail } = await vi.waitFor(
      () => mails.received.find(({ to }) => to.includes('lamp@example.com')) ?? expect.fail('no e-mail yet'),
      30_000,
    );
    expect(mail.text).toContain(SAID);
    expect(mail.attachments).toHaveLength(1);

    const heard = await fetch(`${line.test.service.httpUrl}/v1/voicemails/${message.id}`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json' },
      body: '{"state":"heard"}',
    });
    expect(heard.status).toBe(200);
    await lamp('0/1');
  },
);

describe('what is no message', { timeout: 60_000 }, () => {
  it('a second line is refused: a message has one leg', async () => {
    const offer = (port: number): string => `m=audio ${port} RTP/AVP 8`;
    await using message = await Message.open('anna');
    const answer = await line.ask(message.dialog, 'INVITE', 2, {
      body: `${message.caller.offer()}${offer(40_002)}\r\n`,
    });
    expect(mLines(answer)[1]).toMatch(/^m=audio 0 /);
    await message.hangUp();
  });

  it('a recording session is not taken by such a rule', async () => {
    const dialog = await line.answered({ headers: ['X-Mailbox: anna', 'Require: siprec'] });
    expect(dialog.ok).toMatch(/^a=recvonly\r$/m);
    await line.hangUp(dialog);
  });

  it('two INVITEs of one key that both call a mailbox are two messages', async () => {
    const options = { headers: ['X-Ucid: 4711'] };
    await using first = await Message.open('anna', options);
    await using second = await Message.open('anna', options);
    expect(first.id).not.toBe(second.id);
    await Promise.all([first.beep(), second.beep()]);
    await first.hangUp();
    await second.hangUp();
  });
});

it('a service that is stopped ends the message with what was heard of it', { timeout: 60_000 }, async () => {
  const ROUTES_FILE = join(directory, 'routes.yaml');
  await using stopped = await startSignalling({ ROUTES_FILE, DRAIN_SECONDS: '0' });
  await using message = await Message.open('anna', { at: stopped });
  await message.beep();
  await message.caller.say(saying('PCMA', SAID));
  const bye = message.bye();
  await stopped.test.service.close();
  await bye;
  const { databaseUrl, dataDir } = stopped.test;
  await using next = await startSignalling({ DATABASE_URL: databaseUrl, DATA_DIR: dataDir });
  await next.row("select 1 from calls where id = $1 and state = 'complete'", [message.id]);
  const events = await loadEvents(next.test.pool, message.id);
  expect(endedOf(events)).toMatchObject({ reason: 'hangup', content: 'message' });
  expect(await loadTranscript(next.test.pool, message.id)).toMatchObject([{ text: SAID }]);
});

it('a number that is no mailbox is refused', { timeout: 60_000 }, async () => {
  const call = newCall();
  const long = 'x'.repeat(200);
  const text = invite(line.peer, call, { headers: ['X-Mailbox: hasty'] }).toString();
  line.peer.send(text.replaceAll('sip:uas@', `sip:${long}@`));
  expect(await line.final(call, 1, 'INVITE')).toMatch(/^SIP\/2.0 404 /);
});
