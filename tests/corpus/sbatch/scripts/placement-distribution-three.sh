#!/bin/bash
#SBATCH -m cyclic:fcyclic:block
srun ./program
