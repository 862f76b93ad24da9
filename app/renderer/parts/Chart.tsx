import { useEffect, useRef, useState } from 'react';
import type { Lane } from '../../../shared/app/batch.ts';
import { useText } from './useText.ts';

/** Two minutes, a sample each half second. */
const samples = 240;
const period = 500;
const width = 600;
const height = 96;

/** Throughput of all disks together, as an area that grows from the right. */
export function Chart({ lanes }: { readonly lanes: readonly Lane[] }) {
  const { t, bytes } = useText();
  const now = lanes.reduce(
    (sum, { target, stage }) => sum + (stage === 'working' ? (target?.rate ?? 0) : 0),
    0,
  );
  const latest = useRef(now);
  latest.current = now;
  const [rates, setRates] = useState<readonly number[]>([]);
  useEffect(() => {
    const timer = setInterval(() => setRates((old) => [...old, latest.current].slice(-samples)), period);
    return () => clearInterval(timer);
  }, []);
  const highest = Math.max(1, ...rates);
  return (
    <figure className="chart">
      <figcaption className="chart-title">
        <span>{t('progress.chartTitle')}</span>
        <span className="chart-now">{t('progress.rate', { rate: bytes(now) })}</span>
      </figcaption>
      <svg
        className="chart-area"
        viewBox={`0 0 ${width} ${height}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={t('progress.chart', { rate: bytes(now) })}
      >
        <line className="chart-grid" x1="0" x2={width} y1={height / 2} y2={height / 2} />
        <path
          className="chart-fill"
          d={`${line(rates, highest)} L${width} ${height} L${left(rates)} ${height} Z`}
        />
        <path className="chart-line" d={line(rates, highest)} />
      </svg>
    </figure>
  );
}

const left = (rates: readonly number[]) => (width * (samples - rates.length)) / (samples - 1);

function line(rates: readonly number[], highest: number): string {
  if (rates.length === 0) return `M${width} ${height}`;
  const points = rates.map((rate, index) => {
    const x = (width * (samples - rates.length + index)) / (samples - 1);
    const y = height - (rate / highest) * (height - 8);
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  return `M${points.join(' L')}`;
}
