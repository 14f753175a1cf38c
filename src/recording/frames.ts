import type { MediaSink } from '../rtp/media-sink.ts';
import type { G711Law } from '../rtp/payload-map.ts';
import { malformed } from './container.ts';

/**
 * What a block's payload consists of: what the leg's media told its sink, call by call, so that the same calls can
 * be made again. A frame is one byte for its kind, then:
 *
 *     0x00 PCMU, 0x08 PCMA (their RTP payload types)   u16 count, as many codes
 *     0x40 loss, 0x41 silence, 0x42 muted              u32 samples
 *     0x50 lost: where packets were lost               u48 first sample, u32 samples
 *     0x51 mark                                        u8 which (MARKS)
 *     0x5f end of the leg
 *
 * Muted samples were audio that was not to be kept; they read as silence.
 */
export const FRAME = {
  PCMU: 0x00,
  PCMA: 0x08,
  loss: 0x40,
  silence: 0x41,
  muted: 0x42,
  lost: 0x50,
  mark: 0x51,
  end: 0x5f,
} as const;

/** Points on the leg's clock that a reader may want to know. */
export const MARKS = ['hold', 'resume', 'mute', 'unmute'] as const;
export type Mark = (typeof MARKS)[number];

export const AUDIO_FRAME_HEADER_BYTES = 3;
export const FILL_FRAME_BYTES = 5;
export const LOST_FRAME_BYTES = 11;
export const MARK_FRAME_BYTES = 2;
export const AUDIO_FRAME_SAMPLES_MAX = 65_535;

/** Where frames are played to. */
export interface FrameSink extends MediaSink {
  /** @param beginSample where on the leg's clock */
  mark(mark: Mark, beginSample: number): void;
}

/**
 * Plays the frames of one payload, from a frame's begin on.
 *
 * @param beginSample the index of the payload's first sample
 * @param fromSample samples before it are left out; it must be where a frame begins
 * @returns the index behind the last sample
 * @throws {CallscribeError} RECORDING_MALFORMED where a frame does not fit
 */
export function playFrames(
  payload: Buffer,
  beginSample: number,
  fromSample: number,
  sink: Partial<FrameSink> & Pick<MediaSink, 'audio' | 'fill'>,
): number {
  let sample = beginSample;
  for (let at = 0; at < payload.length;) {
    const kind = payload[at]!;
    const room = payload.length - at;
    if (kind === FRAME.PCMU || kind === FRAME.PCMA) {
      if (room < AUDIO_FRAME_HEADER_BYTES) throw cut(room);
      const samples = payload.readUInt16LE(at + 1);
      const begin = at + AUDIO_FRAME_HEADER_BYTES;
      at = begin + samples;
      if (at > payload.length) throw cut(room);
      if (sample >= fromSample) sink.audio(lawOf(kind), payload, begin, at);
      sample += samples;
    } else if (kind === FRAME.loss || kind === FRAME.silence || kind === FRAME.muted) {
      if (room < FILL_FRAME_BYTES) throw cut(room);
      const samples = payload.readUInt32LE(at + 1);
      at += FILL_FRAME_BYTES;
      if (sample >= fromSample) sink.fill(kind === FRAME.loss ? 'loss' : 'silence', samples);
      sample += samples;
    } else if (kind === FRAME.lost) {
      if (room < LOST_FRAME_BYTES) throw cut(room);
      sink.lost?.(payload.readUIntLE(at + 1, 6), payload.readUInt32LE(at + 7));
      at += LOST_FRAME_BYTES;
    } else if (kind === FRAME.mark) {
      const mark = room < MARK_FRAME_BYTES ? undefined : MARKS[payload[at + 1]!];
      if (mark === undefined) throw malformed('a mark that is none', `one of ${MARKS.length}`);
      sink.mark?.(mark, sample);
      at += MARK_FRAME_BYTES;
    } else if (kind === FRAME.end) {
      sink.end?.();
      at += 1;
    } else {
      throw malformed(`a frame of kind ${kind}`, 'one of docs/recording.md');
    }
  }
  return sample;
}

function lawOf(kind: typeof FRAME.PCMU | typeof FRAME.PCMA): G711Law {
  return kind === FRAME.PCMU ? 'PCMU' : 'PCMA';
}

function cut(room: number): Error {
  return malformed(`a frame that ends behind ${room} bytes`, 'a whole one');
}
