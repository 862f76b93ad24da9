import { isBusy } from '../../../shared/app/batch.ts';
import { type Sheet, useStore } from '../store.ts';
import { AddressSheet } from './AddressSheet.tsx';
import { AddSheet } from './AddSheet.tsx';
import { CatalogSheet } from './CatalogSheet.tsx';
import { ClosingSheet } from './ClosingSheet.tsx';
import { LeavingSheet } from './LeavingSheet.tsx';
import { PasswordSheet } from './PasswordSheet.tsx';
import { SystemSheet } from './SystemSheet.tsx';

export function CurrentSheet({ sheet }: { readonly sheet: Sheet }) {
  const batch = useStore((state) => state.batch);
  switch (sheet) {
    case 'address':
      return <AddressSheet />;
    case 'catalog':
      return <CatalogSheet />;
    case 'system':
      return <SystemSheet />;
    case 'closing':
      return (
        <ClosingSheet
          busy={isBusy(batch)}
          asking={batch?.jobs.every(({ stage }) => stage !== 'running') ?? false}
        />
      );
    case 'leaving':
      return <LeavingSheet />;
    case 'password':
      return <PasswordSheet />;
    case 'add':
      return batch ? <AddSheet batch={batch} /> : null;
  }
}
