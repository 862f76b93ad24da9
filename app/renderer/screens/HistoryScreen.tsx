import { useEffect, useState } from 'react';
import { serialTail } from '../../../shared/app/disk.ts';
import type { HistoryEntry } from '../../../shared/app/settings.ts';
import { ask } from '../client.ts';
import { Button } from '../parts/Button.tsx';
import { useText } from '../parts/useText.ts';
import { attempt, useStore } from '../store.ts';

export function HistoryScreen() {
  const { t } = useText();
  const kept = useStore((state) => state.settings.keepHistory);
  const batch = useStore((state) => state.batch);
  const [entries, setEntries] = useState<readonly HistoryEntry[]>([]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a batch that ends adds to the history
  useEffect(() => {
    void attempt(async () => setEntries(await ask('history.list', {})));
  }, [batch]);
  const clear = () =>
    void attempt(async () => {
      await ask('history.clear', {});
      setEntries([]);
    });
  return (
    <div className="scroll">
      <div className="column">
        <div className="page-head">
          <h1 id="screen-title" className="title">
            {t('history.title')}
          </h1>
          {entries.length > 0 ? <Button onPress={clear}>{t('history.clear')}</Button> : null}
        </div>
        <p className="quiet">{kept ? t('history.intro') : t('history.off')}</p>
        {entries.length === 0 ? <p className="nothing">{t('history.none')}</p> : <Table entries={entries} />}
      </div>
    </div>
  );
}

function Table({ entries }: { readonly entries: readonly HistoryEntry[] }) {
  const { t, bytes, date } = useText();
  return (
    <table className="table">
      <thead>
        <tr>
          <th scope="col">{t('history.when')}</th>
          <th scope="col">{t('history.image')}</th>
          <th scope="col">{t('history.disk')}</th>
          <th scope="col">{t('history.result')}</th>
        </tr>
      </thead>
      <tbody>
        {entries.map((entry) => {
          const tail = serialTail(entry.serial);
          const result = entry.outcome === 'done' && !entry.verified ? 'unverified' : entry.outcome;
          return (
            <tr key={`${entry.at} ${entry.disk} ${entry.serial}`}>
              <td>{date(entry.at)}</td>
              <td className="table-name">{entry.image}</td>
              <td className="table-name">
                {entry.disk}, {bytes(entry.size)}
                {tail === null ? '' : `, ${t('disks.serial', { tail })}`}
              </td>
              <td>
                <span className={`badge badge-${result}`}>{t(`result.lane.${result}`)}</span>
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
