; An evaluator of this language in this language, as McCarthy's of 1960: it evaluates a program, and then itself evaluating one.

(define evaluator
  '((define (value-of form env)
      (cond ((symbol? form) (cdr (assq form env)))
            ((not (pair? form)) form)
            ((eq? (car form) 'quote) (cadr form))
            ((eq? (car form) 'if) (if (value-of (cadr form) env) (value-of (caddr form) env) (value-of (car (cdr (cddr form))) env)))
            ((eq? (car form) 'lambda) (cons 'closure (cons env (cdr form))))
            ((eq? (car form) 'cond) (value-of-clauses (cdr form) env))
            (else (call (value-of (car form) env) (values-of (cdr form) env)))))
    (define (value-of-clauses clauses env)
      (if (if (eq? (car (car clauses)) 'else) #t (value-of (car (car clauses)) env))
          (value-of (cadr (car clauses)) env)
          (value-of-clauses (cdr clauses) env)))
    (define (values-of forms env)
      (if (null? forms) '() (cons (value-of (car forms) env) (values-of (cdr forms) env))))
    (define (bind names values env)
      (if (null? names) env (cons (cons (car names) (car values)) (bind (cdr names) (cdr values) env))))
    (define (call procedure values)
      (if (procedure? procedure)
          (apply procedure values)
          (value-of (caddr (cdr procedure)) (bind (caddr procedure) values (cadr procedure)))))
    ; Definitions go into the environment's own first pair, so that what is defined sees all of them.
    (define (run definitions form env)
      (if (null? definitions)
          (value-of form env)
          (run (cdr definitions) form (define-in (car definitions) env))))
    (define (define-in definition env)
      (begin2 (set-cdr! env (cons (cons (car (cadr definition)) (cons 'closure (cons env (cons (cdr (cadr definition)) (cddr definition)))))
                                  (cdr env)))
              env))
    (define (begin2 a b) b)))

; A macro's expansion takes its place in what is evaluated, so that is a copy.
(define (copy form) (if (pair? form) (cons (copy (car form)) (copy (cdr form))) form))
(for-each (lambda (definition) (eval (copy definition))) evaluator)

(define primitives
  (list (cons 'car car) (cons 'cdr cdr) (cons 'cons cons) (cons 'null? null?) (cons 'pair? pair?) (cons 'symbol? symbol?) (cons 'eq? eq?)
        (cons 'procedure? procedure?) (cons 'apply apply) (cons 'not not) (cons 'assq assq) (cons 'cadr cadr) (cons 'caddr caddr)
        (cons 'cddr cddr) (cons 'set-cdr! set-cdr!) (cons '+ +) (cons '- -) (cons '* *) (cons '< <) (cons '= =) (cons '#t #t)))

(define (world) (cons (cons 'nothing '()) primitives))

(define program '((define (fact n) (if (= n 0) 1 (* n (fact (- n 1))))) (define (fib n) (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2)))))))

(display "one level: ")
(display (run program `(cons (fact 10) (fib ,depth)) (world)))
(newline)

(define (quoted form) (list 'quote form))
(when (> depth 0)
  (display "two levels: ")
  (display (run evaluator
                (list 'run (quoted program) (quoted `(cons (fact 10) (fib ,(quotient depth 2)))) (list 'cons (quoted '(nothing)) 'primitives))
                (cons (car (world)) (cons (cons 'primitives primitives) primitives))))
  (newline))
