; The enumerators of an enumeration, in order; lowering counts them.

(enumerator) @enumerator
